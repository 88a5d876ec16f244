// Whole trips, as people make them.
"use strict";

const password = "Blue-kettle-sings";

module.exports = {
  // With scripts: live answers, Show, and the origin that our own form names.
  async scripts({ report, visit }) {
    const c = await visit("nb");
    const posts = [];
    c.page.on("request", (r) => { if (r.method() === "POST") posts.push(r.allHeaders()); });
    await c.page.goto(c.base + "/a/" + c.ticket("journey-scripts"));
    report("address", c.page.url() === c.base + "/activate", c.page.url());
    await c.page.check("input[value=student]");
    await c.page.fill("#number", "179120 99997");
    await c.submit();
    await c.page.fill("#password", "blue kettle");
    const state = (rule) => c.page.getAttribute(`[data-rule=${rule}]`, "data-state");
    report("live length", (await state("length")) === "no", await state("length"));
    report("live repeat", (await state("repeat")) === "ok", await state("repeat"));
    await c.page.waitForFunction(() => document.getElementById("live").textContent.includes("2 av 4"));
    await c.page.click("#show");
    report("shown", (await c.page.getAttribute("#password", "type")) === "text", "not shown");
    await c.page.fill("#password", password);
    report("live all", (await c.page.locator("#password-rules [data-state=ok]").count()) === 4, "not all kept");
    await c.page.check("#accept");
    await c.page.dblclick("main button[type=submit]");
    await c.page.waitForURL("**/activate/done");
    report("receipt", (await c.page.textContent("main strong")) === "karnor", "no username");
    await c.page.goBack();
    await c.page.waitForURL("**/activate/done");
    report("back", (await c.page.textContent("main strong")) === "karnor", "stranded");
    const origins = (await Promise.all(posts)).map((headers) => headers.origin);
    report("origin", origins.length === 2 && origins.every((o) => o === c.base), String(origins));
    report("quiet", c.faults.length === 0, c.faults.join("; "));
    await c.context.close();
  },

  // Without scripts the same trip, with every mistake on the way.
  async plain({ report, visit }) {
    const c = await visit("nn", { javaScriptEnabled: false });
    await c.page.goto(c.base + "/a/" + c.ticket("journey-plain"));
    await c.submit();
    report("empty form", c.status === 422, String(c.status));
    report("focus", (await c.page.locator("#problems:focus").count()) === 1, "the summary has no focus");
    await c.page.check("input[value=student]");
    await c.page.fill("#number", "17912099997");
    await c.submit();
    report("show is hidden", !(await c.page.isVisible("#show")), "a button that does nothing");
    await c.page.check("#accept");
    await c.page.fill("#password", "short");
    await c.submit();
    report("answered", (await c.page.locator("#password-rules [data-state=no]").count()) === 2, "not answered");
    report("kept", await c.page.isChecked("#accept"), "the acceptance is lost");
    await c.page.fill("#password", password);
    await c.submit();
    report("receipt", c.page.url() === c.base + "/activate/done", c.page.url());
    await c.context.close();
  },

  // A form that was refused, left and come back to is a page again: the browser
  // has nothing to ask about sending it once more, and costs nobody an attempt.
  async back({ report, visit }) {
    const c = await visit("nb");
    const sent = [];
    c.page.on("request", (r) => { if (r.method() === "POST") sent.push(r.url()); });
    await c.page.goto(c.base + "/a/" + c.ticket("journey-back"));
    await c.page.check("input[value=student]");
    await c.page.fill("#number", "10101010101");
    await c.submit();
    report("refused", c.status === 422, String(c.status));
    await c.page.reload();
    report("reload", c.status === 200 && (await c.page.isVisible("#number")), String(c.status));
    await c.page.goto(c.base + "/help");
    await c.page.goBack();
    report("back", c.status === 200 && (await c.page.isVisible("#number")), String(c.status));
    report("sent once", sent.length === 1, sent.join(" "));
    await c.context.close();
  },

  // With the keyboard alone, from the skip link to the receipt.
  async keyboard({ report, visit }) {
    const c = await visit("en");
    const press = (key) => c.page.keyboard.press(key);
    const focus = () => c.page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);
    const tabTo = async (id) => {
      for (let n = 0; n < 60; n++) {
        if ((await focus()) === id) return true;
        await press("Tab");
      }
      report("reach " + id, false, "60 tabs do not lead there");
      return false;
    };
    await c.page.goto(c.base + "/a/" + c.ticket("journey-keyboard"));
    await press("Tab");
    report("skip link", (await focus()) === "ds-skip-link" && (await c.page.isVisible(".ds-skip-link")), await focus());
    await press("Enter");
    await c.page.waitForFunction(() => document.activeElement.id === "main");
    report("skipped", (await focus()) === "main", await focus());
    await tabTo("role");
    await press("Space");
    await tabTo("number");
    await c.page.keyboard.type("17912099997");
    await press("Enter");
    await c.page.waitForURL("**/activate/password");
    await tabTo("accept");
    await press("Space");
    await tabTo("password");
    await c.page.keyboard.type(password);
    await press("Enter");
    await c.page.waitForURL("**/activate/done");
    report("receipt", (await c.page.title()).startsWith("The account is activated"), await c.page.title());
    await c.context.close();
  },

  // A PIN with the keyboard alone: hidden while it is typed, shown on demand, and
  // no password to the browser. None of it needs a script.
  async pin({ report, visit }) {
    const c = await visit("nn");
    const tabTo = async (id) => { for (let n = 0; n < 60 && !(await c.page.locator("#" + id + ":focus").count()); n++) await c.page.keyboard.press("Tab"); };
    await c.page.goto(c.base + "/signin?lang=nn");
    await c.page.fill("#username", "own-nn");
    await c.page.fill("#password", password);
    await c.submit();
    await c.page.goto(c.base + "/pin");
    await tabTo("old");
    await c.page.keyboard.type(password);
    await tabTo("pin");
    await c.page.keyboard.type("8361");
    report("type", (await c.page.getAttribute("#pin", "type")) === "text", "the browser takes it for a password");
    const masked = () => c.page.locator("#pin").evaluate((e) => getComputedStyle(e).webkitTextSecurity);
    report("hidden", (await masked()) === "disc", await masked());
    await tabTo("pin-show");
    await c.page.keyboard.press("Space");
    report("shown", (await masked()) === "none", await masked());
    const arrived = c.page.waitForURL("**/pin/done");
    await c.page.keyboard.press("Enter");
    await arrived;
    report("done", (await c.page.title()).startsWith("PIN-koden er på veg"), await c.page.title());
    await c.context.close();
  },

  // Looking after an account with the keyboard alone and without scripts: signing
  // in, the changed rules, the password that IT demands, a report, a letter.
  async keysplain({ report, visit }) {
    const c = await visit("nn", { javaScriptEnabled: false });
    const focus = () => c.page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);
    const tabTo = async (id, text) => {
      for (let n = 0; n < 60 && (await focus()) !== id; n++) await c.page.keyboard.press("Tab");
      report("reach " + id, (await focus()) === id, "60 tabs do not lead there on " + c.page.url());
      if (text) await c.page.keyboard.type(text);
    };
    const enter = async (path) => {
      const arrived = c.page.waitForNavigation();
      await c.page.keyboard.press("Enter");
      await arrived;
      report("arrive at " + path, c.page.url() === c.base + path, c.page.url());
    };
    await c.page.goto(c.base + "/signin?lang=nn");
    await tabTo("username", "keys-nn");
    await tabTo("password", password);
    await enter("/rules/accept");
    await tabTo("accept");
    await c.page.keyboard.press("Space");
    await tabTo("ds-button");
    await enter("/password");
    await tabTo("old", password);
    await tabTo("password", "Green-teapot-hums-2");
    await enter("/password/done");
    await c.page.goto(c.base + "/compromised");
    await tabTo("ds-button");
    await enter("/compromised/password");
    await tabTo("number", "17912099997");
    await tabTo("password", "White-ladder-leans-3");
    await enter("/password/done");
    await c.page.goto(c.base + "/account");
    await tabTo("ds-button");
    await enter("/signout");
    await c.page.goto(c.base + "/forgot");
    await tabTo("number", "17912099997");
    await tabTo("family", "Nordmann");
    await enter("/forgot/asked");
    await c.context.close();
  },

  // The script answers the password vectors as the server does.
  async vectors({ report, visit, given }) {
    const c = await visit("en");
    await c.page.goto(c.base + "/a/" + c.ticket("journey-vectors"));
    await c.page.check("input[value=student]");
    await c.page.fill("#number", "17912099997");
    await c.submit();
    const got = await c.page.evaluate((vectors) => vectors.map((v) => {
      const form = document.querySelector("form[data-password]"), field = form.elements.password;
      const s = v.subject;
      form.dataset.names = [s.given, s.family, s.preferred, s.username].join(" ");
      field.value = v.password;
      field.dispatchEvent(new Event("input"));
      return [...document.querySelectorAll("#password-rules [data-state=no]")].map((li) => li.dataset.rule).sort();
    }), given.vectors);
    given.vectors.forEach((v, i) => {
      if (v.password === "") return;
      const want = v.fails.filter((rule) => ["length", "repeat", "name", "groups"].includes(rule)).sort();
      report(v.why, String(got[i]) === String(want), `the script fails ${got[i]}, the server ${want}`);
    });
    await c.context.close();
  },
};
