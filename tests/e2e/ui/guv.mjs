// `guv serve` by hand: an application is added, configured, watched, taken over and taken back, with a day that was simulated
// behind it and a queue that is real in front of it.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { finish, inspect, open, step, until, visit } from "./browser.mjs";
import { platform } from "./platform.mjs";
import { queues } from "./queues.mjs";
import { run, start } from "./program.mjs";

const { GUV, MSGFLO } = process.env;
const ADMIN = "an-administrator";
const folder = mkdtempSync(join(tmpdir(), "guv-page-"));
const data = join(folder, "data");
mkdirSync(data);

const waiting = await queues(MSGFLO, ["thumbnails", "video.encode", "mail"]);
await waiting.hold("video.encode", 4);
const outside = await platform({ thumbnails: 1, encode: 2, mail: 1 });
const config = `# Times are in seconds.
'*':
  minimum: 0
  maximum: 12
  deadline: 180
  policy: proportional
  pollinterval: 1
  history: 10
  source: {kind: rabbitmq, url: "${waiting.url}", management: "${waiting.management}"}

thumbnails:
  processing: 2
  deadline: 120
  minimum: 1
  maximum: 25

encode:
  queue: video.encode
  processing: 20
  deadline: 600

mail:
  processing: 0.5
  maximum: 4
`;

/** The past: a day and a little more, as each role would have had it. */
function simulate() {
  const file = join(folder, "shop.guv.yaml");
  writeFileSync(file, config.replace("  pollinterval: 1\n  history: 10\n", ""));
  const history = join(data, "shop.history.sqlite");
  for (const [role, shape, load] of [["thumbnails", "spikes", 3], ["encode", "sine", 4], ["mail", "constant", 0.4]]) {
    run(GUV, ["simulate", file, "--role", role, "--shape", shape, "--load", `${load}`, "--hours", "30", "--polls-only", "--history", history]);
  }
  return history;
}

const history = simulate();
const guv = await start(
  GUV,
  ["serve", "--listen", "127.0.0.1:0", "--data", data, "--admin-token", ADMIN, "--heroku-url", outside.url],
  /listening on (http:\/\/\S+)/,
  { env: { ...process.env, GUV_SECRET_KEY: "a5".repeat(32) } },
);
const url = guv.found;
const browser = await open();

const signIn = async (page, secret) => {
  await page.getByLabel("Secret").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
};
const goTo = async (page, view) => page.getByRole("navigation").getByRole("link", { name: view }).click();
const api = async (method, path, body) => {
  const headers = { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" };
  const response = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  return response.json();
};
/** Replaces what the editor holds, as somebody would who pastes. */
const write = async (page, text) => {
  const editor = page.getByRole("textbox", { name: "Configuration, YAML" });
  await editor.click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(text);
};

const page = await visit(browser, url);

await step("a wrong secret is refused, the right one is let in", async () => {
  await signIn(page, "guessed");
  await page.getByText("This secret opens nothing here").waitFor();
  await inspect(page, "guv-wrong-secret");
  await signIn(page, ADMIN);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
});

await step("without an application every view says what to do next", async () => {
  await inspect(page, "overview-empty");
  await goTo(page, "Scaling");
  await page.getByText("Nothing is scaled yet").waitFor();
  await inspect(page, "scaling-empty");
  await goTo(page, "Apps");
  await page.getByText("No application yet").waitFor();
  await inspect(page, "apps-empty");
});

await step("an application is added, and its platform's token is never shown", async () => {
  await page.getByRole("button", { name: "Add an application" }).click();
  await page.getByLabel("Name here").fill("the shop");
  await page.getByText("1 to 64 letters").waitFor();
  await page.getByLabel("Name here").fill("shop");
  await page.getByLabel("Name on the platform").fill("shop-production");
  await page.getByLabel("Platform's token").fill("hunter2");
  await inspect(page, "apps-add");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("heading", { name: "shop is added" }).waitFor();
  assert.match(await page.getByLabel("Token", { exact: true }).inputValue(), /^guv_[0-9a-f]{64}$/);
  await inspect(page, "apps-token");
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("kept, sealed").waitFor();
  assert(!(await page.content()).includes("hunter2"));
  assert(!JSON.stringify(await api("GET", "/v1/apps")).includes("hunter2"));
});

await step("what is wrong with a configuration is marked at its place", async () => {
  await page.getByRole("link", { name: "shop", exact: true }).click();
  await page.getByRole("link", { name: "Write one" }).click();
  await write(page, config.replace("maximum: 25", "maximun: 25"));
  const said = page.getByRole("list", { name: "What is to be said about it" });
  await said.getByText(/did you mean maximum\?/).waitFor();
  const line = config.split("\n").findIndex((line) => line.includes("maximum: 25")) + 1;
  await said.getByText(`${line}:3`, { exact: true }).waitFor();
  assert.equal(await page.locator(".cm-lintRange-error").first().textContent(), "maximun");
  assert(await page.getByRole("button", { name: "Take into force" }).isDisabled());
  await inspect(page, "config-error");
});

await step("a configuration without errors is taken into force", async () => {
  await write(page, config);
  await page.getByText("No errors").waitFor();
  await page.getByRole("button", { name: "Take into force" }).click();
  await page.getByText("Version 1", { exact: true }).waitFor();
  await until("the platform's token", () => outside.token === "Bearer hunter2");
  await page.getByRole("tab", { name: "Roles" }).click();
  await page.getByRole("table", { name: "Roles" }).getByRole("link", { name: "encode" }).waitFor();
  await page.getByRole("img", { name: "mail: workers in the last hour" }).waitFor();
  await inspect(page, "scaling-roles");
});

await step("a role shows its day, and each operation says why", async () => {
  await page.getByRole("link", { name: "thumbnails" }).click();
  await page.getByRole("button", { name: "24 h" }).click();
  await page.getByRole("region", { name: "Time to done" }).waitFor();
  const marks = page.getByRole("group", { name: "Operations" }).getByRole("button");
  await until("marks", async () => (await marks.count()) > 10);
  await inspect(page, "scaling-role");
  await page.getByRole("button", { name: "The operation before" }).click();
  await page.getByRole("complementary").getByRole("heading", { name: /→ \d+ workers/ }).waitFor();
  await inspect(page, "scaling-why");
  for (const range of ["10 min", "6 h", "7 d", "30 d"]) {
    await page.getByRole("button", { name: range, exact: true }).click();
    await page.getByRole("region", { name: "Workers", exact: true }).waitFor();
  }
  await inspect(page, "scaling-role-30d");
});

await step("a scale-up appears, and its reason is the one that guv explains", async () => {
  await page.getByRole("button", { name: "10 min" }).click();
  const begin = Date.now() / 1000;
  await waiting.hold("thumbnails", 500);
  const operation = await until("a scale-up", async () => {
    const { operations } = await api("GET", "/v1/apps/shop/operations?role=thumbnails&span=600");
    return operations.find(({ at, from }) => at > begin && from === 1);
  });
  const why = page.getByRole("complementary");
  const heading = why.getByRole("heading", { level: 3 });
  // The newest mark is that of this one, or of one that followed it at once.
  const marks = page.getByRole("group", { name: "Operations" }).getByRole("button");
  const clock = new Date(operation.at * 1000).toLocaleTimeString("en-GB");
  await until("its mark", async () => ((await marks.last().getAttribute("aria-label")) ?? "").slice(0, 8) >= clock);
  await marks.last().click();
  for (;;) {
    await heading.getByText("→").waitFor();
    const shown = await heading.textContent();
    if (shown === `${clock}: 1 → ${operation.to} workers`) break;
    await page.getByRole("button", { name: "The operation before" }).click();
    await until("the operation before", async () => (await heading.textContent()) !== shown);
  }
  await why.getByText("up at once", { exact: true }).waitFor();
  const explained = JSON.parse(
    run(GUV, ["explain", "thumbnails", "--at", new Date(operation.at * 1000).toISOString(), "--history", history, "--json"]),
  );
  assert.equal(explained.record.at, operation.at);
  await why.getByText(explained.summary, { exact: true }).waitFor();
  assert.match(explained.summary, /^\d+ jobs \(\d+ ready \+ \d+ in flight\), \d+ × 2 s in [\d.]+ s = \d+ workers/);
  await inspect(page, "scaling-up");
});

await step("somebody takes over for a time, and gives it back", async () => {
  await page.getByRole("button", { name: "Now", exact: true }).click();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText(/Paused until/).waitFor();
  await waiting.hold("thumbnails", 2000);
  const before = outside.workers.thumbnails;
  await page.getByRole("complementary").getByText("paused", { exact: true }).waitFor();
  assert.equal(outside.workers.thumbnails, before);
  await inspect(page, "scaling-paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await until("the maximum", () => outside.workers.thumbnails === 25);
  await page.getByRole("textbox", { name: "Workers" }).fill("x");
  await page.getByText("A whole number").waitFor();
  await page.getByRole("textbox", { name: "Workers" }).fill("7");
  await page.getByRole("button", { name: "Set by hand" }).click();
  await until("seven workers", () => outside.workers.thumbnails === 7);
  await page.getByText(/7 workers, set by hand until/).waitFor();
  await inspect(page, "scaling-by-hand");
  await page.getByRole("button", { name: "Give back to the policy" }).click();
  await until("the policy", () => outside.workers.thumbnails === 25);
});

await step("a change is tried on the last day, taken into force, and taken back", async () => {
  await page.getByRole("heading", { name: "Scaling" }).getByRole("link").click();
  await page.getByRole("tab", { name: "Configuration" }).click();
  await page.getByText("Version 1", { exact: true }).waitFor();
  await page.getByText("No errors").waitFor();
  await write(page, config.replace("maximum: 25", "maximum: 6"));
  await page.getByText("No errors").waitFor();
  await page.getByRole("button", { name: "Preview" }).click();
  const table = page.getByRole("table", { name: "Preview" });
  await table.waitFor({ timeout: 60_000 });
  // At most the seven that were set by hand meanwhile, as that is a part of what is replayed.
  assert.match(await table.getByRole("row", { name: /thumbnails/ }).textContent(), /25 → 7/);
  await page.evaluate(() => document.querySelector(".scaling-preview").scrollIntoView());
  await inspect(page, "config-preview");
  await page.getByRole("button", { name: "Close the preview" }).click();
  await page.getByRole("button", { name: "Take into force" }).click();
  await page.getByText("Version 2", { exact: true }).waitFor();
  await until("fewer", () => outside.workers.thumbnails === 6);
  await page.getByRole("button", { name: "Roll back to version 1" }).click();
  await page.getByRole("heading", { name: "Roll back to version 1?" }).waitFor();
  await inspect(page, "config-roll-back");
  await page.getByRole("button", { name: "Roll back", exact: true }).click();
  await page.getByText("Version 3", { exact: true }).waitFor();
  await until("more again", () => outside.workers.thumbnails === 25);
  assert.equal((await api("GET", "/config/shop")).configYaml, config);
  assert.match(await page.getByRole("textbox", { name: "Configuration, YAML" }).textContent(), /maximum: 25/);
  await until("nothing to take", () => page.getByRole("button", { name: "Take into force" }).isDisabled());
  await inspect(page, "config");
});

await step("the overview and the list say what needs attention", async () => {
  await goTo(page, "Overview");
  await page.getByRole("link", { name: /thumbnails: late/ }).waitFor();
  await inspect(page, "overview-late");
  await waiting.stop();
  await page.getByRole("link", { name: /mail: blind/ }).waitFor();
  await inspect(page, "overview-blind");
  await goTo(page, "Scaling");
  await page.getByText("Blind").first().waitFor();
  await inspect(page, "scaling-blind");
  await waiting.again();
  await page.getByText("Well").nth(2).waitFor();
  await goTo(page, "Overview");
  await page.getByText("All is well").waitFor();
  await inspect(page, "overview-well");
});

await step("whoever may only look sees the same and can change nothing", async () => {
  await goTo(page, "Apps");
  await page.getByLabel("Tokens of").selectOption("shop");
  await page.getByRole("button", { name: "Make a token" }).click();
  await page.getByLabel("Who or what will use it").fill("the wall");
  await inspect(page, "apps-make-token");
  await page.getByRole("button", { name: "Make", exact: true }).click();
  const token = await page.getByLabel("Token", { exact: true }).inputValue();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("table", { name: "Tokens" }).getByText("the wall").waitFor();
  await inspect(page, "apps");

  const other = await visit(browser, `${url}/#token=${token}`);
  await other.getByText("All is well").waitFor();
  assert(!other.url().includes(token), "the invitation is taken out of the address");
  await goTo(other, "Scaling");
  await other.getByText("Read only").waitFor();
  await other.getByRole("link", { name: "thumbnails" }).click();
  await other.getByRole("region", { name: "Workers", exact: true }).waitFor();
  assert.equal(await other.getByRole("button", { name: "Pause" }).count(), 0);
  await inspect(other, "scaling-read-only");
  await other.goto(`${url}/#/scaling/shop/config`);
  await other.getByRole("table", { name: "Roles" }).waitFor();
  assert.equal(await other.getByRole("tab", { name: "Configuration" }).count(), 0);
  await goTo(other, "Apps");
  await other.getByRole("table", { name: "Applications" }).waitFor();
  assert.equal(await other.getByRole("button", { name: /Make|Replace|Remove/ }).count(), 0);

  await page.getByRole("button", { name: "Revoke the wall" }).click();
  await page.getByRole("button", { name: "Revoke", exact: true }).click();
  await page.getByText("opens nothing any more").waitFor();
  await other.reload();
  await other.getByRole("heading", { name: "Sign in" }).waitFor();
});

await step("where the server refuses, the view says why", async () => {
  const refuse = (route) => route.fulfill({ status: 404, contentType: "application/json", body: '{"message": "no history is kept"}' });
  await page.route("**/chart?*", refuse);
  await page.goto(`${url}/#/scaling/shop/roles/mail`);
  await page.getByText("The history cannot be read").waitFor();
  await inspect(page, "scaling-no-history");
  await page.route("**/v1/apps", refuse);
  await page.goto(`${url}/#/apps`);
  await page.getByText("The service does not answer").waitFor();
  await inspect(page, "apps-error");
  await page.unrouteAll();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("table", { name: "Applications" }).waitFor();
});

await browser.close();
outside.stop();
await waiting.stop();
assert.equal(await guv.stop(), 0, guv.log());
rmSync(folder, { recursive: true });
finish();
