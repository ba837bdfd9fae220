// A browser, and what every view must stand: nothing overlaps or is cut off, axe finds nothing, no error is logged, and nothing is
// asked of any other host.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// The packages are in the folder that this is run in.
const require = createRequire(join(process.cwd(), "ui.cjs"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Where pictures go, if anybody wants them. */
const pictures = process.env.UI_PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });

export const SIZE = { width: 1280, height: 760 };

export async function open() {
  const executablePath = process.env.CHROMIUM ?? PROGRAMS.find(existsSync);
  assert(executablePath, "there is no Chromium");
  // The sandbox needs rights that a container does not give; what is shown here is our own.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"] });
}

/** A window of its own, as another person has it. What goes wrong in it is kept in `page.wrong`, but for `page.expected`. */
export async function visit(browser, url, { theme = "light", size = SIZE } = {}) {
  const context = await browser.newContext({ viewport: size, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  pages.push(page);
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(`an error: ${error.message}`));
  page.on("console", (message) => {
    // That a secret is wrong, or something is not there, is an answer like any other.
    const isAnswer = /status of (401|403|404|409)/.test(message.text()) || page.expected?.test(message.text());
    if (message.type() === "error" && !isAnswer) page.wrong.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    const { host: own } = new URL(page.url());
    if (protocol.startsWith("http") && own && host !== own) page.wrong.push(`a request to ${host}`);
  });
  await page.goto(url);
  return page;
}

const pages = [];
let failures = 0;

/** What each page shows, for whoever asks why a step failed. */
async function tellPages() {
  for (const page of pages.filter((page) => !page.isClosed())) {
    const patience = new Promise((done) => setTimeout(() => done("it does not answer"), 5000));
    const text = await Promise.race([page.evaluate(() => document.body.innerText.slice(0, 500)), patience]).catch(String);
    console.error(`    ${page.url()} shows: ${JSON.stringify(text)}; wrong: ${JSON.stringify(page.wrong)}`);
  }
}

/** Runs a step and says how it ended; a step that fails ends the run. */
export async function step(name, run) {
  const start = Date.now();
  try {
    await run();
    console.log(`ok  ${name} (${Date.now() - start} ms)`);
  } catch (error) {
    failures += 1;
    console.error(`FAILED  ${name}\n${error.stack}`);
    await tellPages();
    throw error;
  }
}

/** Waits until `look` gives something true. */
export async function until(what, look, patience = 30_000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert(Date.now() < end, `${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A picture of the view in both themes, and every check in both. */
export async function inspect(page, name) {
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await page.waitForFunction((wanted) => document.documentElement.dataset.theme === wanted, theme, { polling: 100 });
    // Two frames, so that a canvas has drawn.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    // A view that was just chosen may still be on its way.
    await page.getByRole("heading", { level: 1, includeHidden: true }).first().waitFor({ state: "attached" });
    if (pictures) await page.screenshot({ path: join(pictures, `${name}-${theme}.png`) });
    const found = [...(await violations(page)), ...(await page.evaluate(badPlaces)), ...page.wrong];
    assert.deepEqual(found, [], `${name}, ${theme}`);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `axe ${id}: ${nodes.map(({ target, failureSummary }) => `${target} (${failureSummary})`).join(" | ")}`);
}

/** In the page: what is cut off, or lies on something else. */
function badPlaces() {
  const found = [];
  const { innerWidth, innerHeight } = window;
  const name = (element) => `${element.tagName.toLowerCase()}.${[...element.classList].join(".")} "${(element.textContent ?? "").trim().slice(0, 40)}"`;
  const isShown = (element) =>
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
    // For screen readers only.
    getComputedStyle(element).clipPath !== "inset(50%)" &&
    !element.closest(".unseen, .react-flow__minimap, .react-flow__a11y");
  const root = document.querySelector("dialog[open]") ?? document.body;
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is wider than its window");

  // The part of an element that its scrolling ancestors leave to be seen.
  const seen = (element, rect) => {
    let { left, top, right, bottom } = rect;
    for (let box = element.parentElement; box; box = box.parentElement) {
      if (getComputedStyle(box).overflow === "visible") continue;
      const frame = box.getBoundingClientRect();
      [left, top, right, bottom] = [Math.max(left, frame.left), Math.max(top, frame.top), Math.min(right, frame.right), Math.min(bottom, frame.bottom)];
    }
    [left, top, right, bottom] = [Math.max(left, 0), Math.max(top, 0), Math.min(right, innerWidth), Math.min(bottom, innerHeight)];
    return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : undefined;
  };

  const texts = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.nodeValue.trim() || !element || !isShown(element) || element.closest("svg, .cm-editor, option")) continue;
    const style = getComputedStyle(element);
    const isCut = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    if (isCut && ["hidden", "clip"].includes(style.overflowX) && style.textOverflow !== "ellipsis") found.push(`cut off: ${name(element)}`);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const part = seen(element, rect);
      if (part) texts.push({ element, ...part });
    }
  }
  const overlaps = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i], texts[j]];
      if (a.element === b.element || a.element.contains(b.element) || b.element.contains(a.element)) continue;
      // A toast lies on what is below it, for a moment and on purpose.
      if (a.element.closest(".toasts") || b.element.closest(".toasts")) continue;
      if (overlaps(a, b)) found.push(`on each other: ${name(a.element)} and ${name(b.element)}`);
    }
  }

  for (const control of root.querySelectorAll("button, a[href], input, select, textarea")) {
    if (!isShown(control) || control.closest(".react-flow__viewport")) continue;
    const part = seen(control, control.getBoundingClientRect());
    if (!part) continue;
    const [x, y] = [(part.left + part.right) / 2, (part.top + part.bottom) / 2];
    const top = document.elementFromPoint(x, y);
    if (top && !control.contains(top) && !top.contains(control) && !top.closest(".toasts")) found.push(`covered: ${name(control)} by ${name(top)}`);
  }
  return [...new Set(found)];
}

export function finish() {
  process.exitCode = failures === 0 ? 0 : 1;
}
