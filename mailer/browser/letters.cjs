// Looks at letters in Chromium with axe. Reads one JSON object from standard
// input ({chromium, views: [[width, scheme]], letters: [{name, html}]}) and
// writes one JSON object per view of a letter to standard output:
// {"name": "…", "violations": ["…"], "wide": false, "asked": []}.
// The modules are those of the portal's browser tests.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const modules = path.join(__dirname, "..", "..", "portal", "browser", "node_modules");
const { chromium } = require(path.join(modules, "playwright-core"));
const axe = require(path.join(modules, "axe-core"));

const given = JSON.parse(fs.readFileSync(0, "utf8"));
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

async function main() {
  const browser = await chromium.launch({ executablePath: given.chromium, args: flags, timeout: 180000 });
  process.on("SIGINT", () => browser.close().finally(() => process.exit(1)));
  try {
    for (const [width, colorScheme] of given.views) {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
      const page = await context.newPage();
      page.setDefaultTimeout(180000);
      const asked = [];
      page.on("request", (r) => { if (!r.url().startsWith("data:") && !r.url().startsWith("about:")) asked.push(r.url()); });
      for (const letter of given.letters) {
        await page.setContent(letter.html);
        await page.evaluate(axe.source);
        const result = await page.evaluate((tags) => axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), tags);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
        const violations = result.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ")).join(", "));
        process.stdout.write(JSON.stringify({ name: letter.name + " " + width + " " + colorScheme, violations, passes: result.passes.length, wide, asked: asked.splice(0) }) + "\n");
      }
      await context.close();
    }
  } finally {
    await browser.close();
  }
}

main().catch((e) => { process.stderr.write(String(e.stack || e) + "\n"); process.exit(1); });
