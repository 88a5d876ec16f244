// The pages of the portal, each with the steps that lead to it. A ticket is
// named after its page and language; the test that starts us has prepared it.
"use strict";

const password = "Blue-kettle-sings";

async function link(c, name) { await c.page.goto(c.base + "/a/" + c.ticket(name)); }

async function identify(c, name, role, number) {
  await link(c, name);
  if (role) await c.page.check(`input[value=${role}]`);
  await c.page.fill("#number", number || "17912099997");
  await c.submit();
}

async function choose(c, name, role, text, accept) {
  await identify(c, name, role);
  if (accept) await c.page.check("#accept");
  await c.page.fill("#password", text);
  await c.submit();
}

// post sends a form that no page of ours has.
async function post(c, action, fields) {
  const arrived = c.page.waitForNavigation();
  await c.page.evaluate(([action, fields]) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = action;
    for (const [name, value] of fields) {
      const input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
  }, [action, fields]);
  await arrived;
}

async function signIn(c, who, text) {
  await open("/signin")(c);
  await c.page.fill("#username", who + "-" + c.lang);
  await c.page.fill("#password", text || password);
  await c.submit();
}

async function change(c, who, old, text) {
  await signIn(c, who);
  await c.page.goto(c.base + "/password");
  await c.page.fill("#old", old);
  await c.page.fill("#password", text);
  await c.submit();
}

async function setPIN(c, who, old, pin) {
  await signIn(c, who);
  await c.page.goto(c.base + "/pin");
  await c.page.fill("#old", old);
  await c.page.fill("#pin", pin);
  await c.submit();
}

async function press(c, selector) {
  const arrived = c.page.waitForNavigation();
  await c.page.click(selector);
  await arrived;
}

const open = (path) => async (c) => { await c.page.goto(c.base + path + "?lang=" + c.lang); };

// name: [status, steps]
module.exports = {
  start: [200, open("/")],
  help: [200, open("/help")],
  rules: [200, open("/rules")],
  privacy: [200, open("/privacy")],
  accessibility: [200, open("/accessibility")],
  "no-link": [200, open("/activate")],
  "not-found": [404, open("/nowhere")],
  "bad-link": [404, open("/a/cut")],
  "too-many": [429, async (c) => {
    await c.page.goto(c.limited + "/?lang=" + c.lang);
    await c.page.goto(c.limited + "/?lang=" + c.lang);
  }],
  "wrong-method": [405, async (c) => { await open("/help")(c); await post(c, "/help", []); }],
  "other-origin": [403, async (c) => { await open("/help")(c); await c.page.goto("about:blank"); await post(c, c.base + "/activate", []); }],
  "bad-request": [400, async (c) => { await link(c, "identify"); await post(c, "/activate", [["number", "1"], ["number", "2"]]); }],
  "too-large": [413, async (c) => { await link(c, "identify"); await post(c, "/activate", [["number", "1".repeat(20000)]]); }],
  "link-gone": [403, async (c) => { await open("/help")(c); await post(c, "/activate", [["number", "1"]]); }],
  "proof-gone": [403, async (c) => { await link(c, "identify"); await post(c, "/activate/password", [["password", "x"]]); }],
  identify: [200, async (c) => { await link(c, "identify"); await c.page.click("summary"); }],
  "identify-empty": [422, async (c) => { await link(c, "identify"); await c.submit(); }],
  "identify-wrong": [422, async (c) => { await identify(c, "identify-wrong", "student", "05840399895"); }],
  "identify-role": [422, async (c) => { await identify(c, "identify", "employee"); }],
  closed: [200, async (c) => { await link(c, "closed"); }],
  replaced: [410, async (c) => { await link(c, "replaced"); }],
  spent: [410, async (c) => { await link(c, "spent"); }],
  expired: [410, async (c) => { await link(c, "expired"); }],
  asked: [200, async (c) => { await link(c, "expired"); await c.submit(); }],
  frozen: [403, async (c) => { await link(c, "frozen"); }],
  suspended: [403, async (c) => { await link(c, "suspended"); }],
  broken: [500, async (c) => { await link(c, "broken"); }],
  down: [503, async (c) => { await link(c, "down"); }],
  busy: [503, async (c) => { await choose(c, "busy", "student", password, true); }],
  password: [200, async (c) => { await identify(c, "password", "student"); }],
  "password-live": [200, async (c) => {
    await identify(c, "password", "student");
    await c.page.fill("#password", "kari 1234");
    await c.page.click("#show");
    await c.page.waitForFunction(() => document.getElementById("live").textContent !== "");
  }],
  "password-failed": [422, async (c) => { await choose(c, "password", "student", "nordmannnnn", false); }],
  "reset-identify": [200, async (c) => { await link(c, "reset-identify"); }],
  "reset-password": [200, async (c) => { await identify(c, "reset-identify"); }],
  "reset-done": [200, async (c) => { await choose(c, "reset-done", "", password, true); }],
  done: [200, async (c) => { await choose(c, "done", "student", password, true); }],
  "spent-now": [410, async (c) => { await choose(c, "spent-now", "student", password, true); }],
  signin: [200, open("/signin")],
  "signin-empty": [422, async (c) => { await open("/signin")(c); await c.submit(); }],
  "signin-wrong": [422, async (c) => { await signIn(c, "own", "another-password"); }],
  "signin-many": [429, async (c) => { for (let i = 0; i < 4; i++) await signIn(c, "many", "another-password"); }],
  own: [200, async (c) => { await signIn(c, "own"); }],
  "rules-changed": [200, async (c) => { await signIn(c, "rules"); }],
  "rules-first": [200, async (c) => { await signIn(c, "newcomer"); }],
  "rules-not-accepted": [422, async (c) => { await signIn(c, "rules"); await c.submit(); }],
  "signed-out": [200, async (c) => { await signIn(c, "own"); await c.submit(); }],
  change: [200, async (c) => { await signIn(c, "own"); await c.page.goto(c.base + "/password"); }],
  "change-demanded": [200, async (c) => { await signIn(c, "demanded"); }],
  "change-due": [200, async (c) => { await signIn(c, "due"); }],
  "own-demanded": [200, async (c) => { await signIn(c, "demanded"); await c.page.goto(c.base + "/account"); }],
  "change-stranger": [200, open("/password")],
  "change-live": [200, async (c) => {
    await signIn(c, "own");
    await c.page.goto(c.base + "/password");
    await c.page.fill("#password", "kari 1234");
    await c.page.click("#show");
    await c.page.waitForFunction(() => document.getElementById("live").textContent !== "");
  }],
  "change-failed": [422, async (c) => { await change(c, "own", password, "nordmannnnn"); }],
  "change-done": [200, async (c) => { await change(c, "change", password, "Green-teapot-hums-2"); }],
  pin: [200, async (c) => { await signIn(c, "own"); await c.page.goto(c.base + "/pin"); await c.page.fill("#pin", "8361"); await c.page.check("#pin-show"); }],
  "pin-states": [200, async (c) => { await signIn(c, "pin-all"); await c.page.goto(c.base + "/pin"); }],
  "pin-nowhere": [200, async (c) => { await signIn(c, "pin-nowhere"); await c.page.goto(c.base + "/pin"); }],
  "pin-failed": [422, async (c) => { await setPIN(c, "own", password, "1234"); }],
  "pin-done": [200, async (c) => { await setPIN(c, "own", password, "8361"); }],
  "pin-elsewhere": [200, async (c) => { await c.page.goto(c.elsewhere + "/pin?lang=" + c.lang); }],
  forgot: [200, open("/forgot")],
  "forgot-empty": [422, async (c) => { await open("/forgot")(c); await c.submit(); }],
  "forgot-asked": [200, async (c) => {
    await open("/forgot")(c);
    await c.page.fill("#number", "17912099997");
    await c.page.fill("#family", "Nordmann");
    await c.submit();
  }],
  compromised: [200, async (c) => { await signIn(c, "own"); await c.page.goto(c.base + "/compromised"); }],
  "compromised-stranger": [200, async (c) => { await link(c, "identify"); await c.page.goto(c.base + "/compromised"); }],
  "compromised-wrong": [422, async (c) => { await open("/compromised")(c); await c.submit(); }],
  reported: [200, async (c) => {
    await link(c, "identify");
    await c.page.goto(c.base + "/compromised");
    await press(c, "form:has(input[value=letter]) button");
  }],
  renew: [200, async (c) => { await signIn(c, "breached"); }],
  "renew-failed": [422, async (c) => { await signIn(c, "breached-again"); await c.submit(); }],
};
