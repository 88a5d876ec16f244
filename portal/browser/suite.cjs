// Drives the portal in Chromium. Reads one JSON object from standard input,
// writes one JSON object per finding to standard output:
// {"name": "…", "ok": true|false, "detail": "…"}.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const axe = require("axe-core");
const pages = require("./pages.cjs");
const journeys = require("./journeys.cjs");

const given = JSON.parse(fs.readFileSync(0, "utf8"));
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// In short, every page is seen in one language, narrow and dark, wide and light.
const views = given.full ? [[320, "light"], [320, "dark"], [1280, "light"], [1280, "dark"]] : [[320, "dark"], [1280, "light"]];

function report(name, ok, detail) {
  process.stdout.write(JSON.stringify({ name, ok: Boolean(ok), detail: detail || "" }) + "\n");
}

// visit makes a browser of its own for one page: cookies, console, requests.
async function visit(browser, lang, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: lang, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(180000);
  const c = { page, context, lang, base: given.base, limited: given.limited, elsewhere: given.elsewhere, faults: [], status: 0, origins: [] };
  c.ticket = (name) => given.tickets[name + "-" + lang];
  c.submit = async () => {
    const arrived = page.waitForNavigation();
    await page.click("main button[type=submit]");
    await arrived;
  };
  page.on("console", (m) => { if (m.type() === "error" && !/status of \d+/.test(m.text())) c.faults.push(m.text()); });
  page.on("pageerror", (e) => c.faults.push(String(e)));
  page.on("request", (r) => { if (!r.url().startsWith(given.base) && !r.url().startsWith(given.limited) && !r.url().startsWith(given.elsewhere) && !r.url().startsWith("data:")) c.faults.push("asks " + r.url()); });
  page.on("response", (r) => { if (r.request().isNavigationRequest()) c.status = r.status(); });
  return c;
}

// The rules that colours decide. Every rule is held narrow and dark, and wide
// and light; in the other two views these, since nothing else can differ there.
const coloured = ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"];

async function check(page, whole = true) {
  const runOnly = whole ? tags : { type: "rule", values: coloured };
  return page.evaluate((runOnly) => axe.run(document, { runOnly, resultTypes: ["violations"] }), runOnly);
}

function told(result) {
  return result.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ")).join(", ")).join("; ");
}

const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);

// broken are the words that a line ends within without a hyphen, and marks that
// stand outside the box they belong to.
const broken = (page) => page.evaluate(() => {
  const found = [], walk = document.createTreeWalker(document.querySelector("body"), NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (node.parentElement.closest("script, [translate=no], [href^='mailto:'], .ds-sr-only")) continue;
    for (const word of node.data.matchAll(/[^\s\u00ad/–-]+/g)) {
      // The hyphen at the end of a line counts to the letter after it.
      range.setStart(node, word.index + (node.data[word.index - 1] === "\u00ad" ? 1 : 0));
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set(Array.from(range.getClientRects(), (r) => Math.round(r.top)));
      if (lines.size > 1) found.push(word[0]);
    }
  }
  for (const alert of document.querySelectorAll(".ds-alert")) {
    const at = getComputedStyle(alert), mark = getComputedStyle(alert, "::before");
    if (parseFloat(at.paddingLeft) + parseFloat(mark.marginLeft) < 0) found.push("mark of an alert");
  }
  return found;
});

// look holds one page against axe in each view. The browser is the one of the
// page before, with its cookies gone: making a new one costs more than looking.
async function look(c, name) {
  const [status, steps] = pages[name];
  const { lang, page } = c;
  const what = name + "/" + lang;
  c.faults.length = 0;
  try {
    await c.context.clearCookies();
    await steps(c);
    report(what + "/status", c.status === status, `${c.status}, not ${status}`);
    report(what + "/lang", (await page.getAttribute("html", "lang")) === lang, "another language");
    if (status === 422) {
      report(what + "/focus", (await page.evaluate(() => document.activeElement.id)) === "problems", "the summary has no focus");
    }
    await page.evaluate(axe.source);
    for (const [width, colorScheme] of views) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      const at = `${what}/${colorScheme}/${width}`;
      const result = await check(page, (width === 320) === (colorScheme === "dark"));
      report(at + "/axe", result.violations.length === 0, told(result));
      report(at + "/reflow", !(await wide(page)), "scrolls sideways");
      if (width === 320) {
        const cut = await broken(page);
        report(at + "/words", cut.length === 0, "cut in two: " + cut.join(", "));
      }
      if (given.screenshots) {
        await page.screenshot({ path: path.join(given.screenshots, `${name}-${lang}-${colorScheme}-${width}.png`), fullPage: true });
      }
    }
    report(what + "/quiet", c.faults.length === 0, c.faults.join("; "));
  } catch (error) {
    report(what, false, String(error));
  }
}

// control proves that the checks see what is wrong.
async function control(browser) {
  const c = await visit(browser, "en");
  await c.page.goto(c.base + "/a/" + c.ticket("identify"));
  await c.page.evaluate(axe.source);
  await c.page.setViewportSize({ width: 320, height: 900 });
  await c.page.evaluate(() => {
    document.querySelector("label[for=number]").remove();
    document.documentElement.removeAttribute("lang");
    document.querySelector("h1").style.color = "#bbb";
    document.querySelector(".m-form").style.width = "500px";
  });
  const found = (await check(c.page)).violations.map((v) => v.id);
  for (const id of ["label", "html-has-lang", "color-contrast"]) report("control/" + id, found.includes(id), "axe found only " + found);
  report("control/reflow", await wide(c.page), "a wide page is not noticed");
  await c.context.close();
}

async function main() {
  const browser = await chromium.launch({ executablePath: given.chromium, timeout: 180000, args: ["--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
  try {
    await control(browser);
    for (const [name, journey] of given.only && !given.only.includes("journeys") ? [] : Object.entries(journeys)) {
      try {
        await journey({ report: (what, ok, detail) => report("journey/" + name + "/" + what, ok, detail), visit: (lang, options) => visit(browser, lang, options), given });
      } catch (error) {
        report("journey/" + name, false, String(error));
      }
    }
    const names = Object.keys(pages).filter((name) => !given.only || given.only.includes(name));
    await Promise.all(given.languages.map(async (lang, i) => {
      const c = await visit(browser, lang);
      for (const name of names.filter((_, n) => given.full || n % given.languages.length === i)) await look(c, name);
      await c.context.close();
    }));
    report("end", true, names.length + " pages");
  } finally {
    await browser.close();
  }
}

main().catch((error) => { report("suite", false, String(error.stack || error)); process.exit(1); });
