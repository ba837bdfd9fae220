// A network without anything in it, a look without permission to change, a small window, and a server that is gone:
// node states.mjs PAGE SECRET-OF-ONE-WHO-MAY-LOOK

import assert from "node:assert/strict";

import { node } from "./canvas.mjs";
import { finish, inspect, open, step, visit } from "./browser.mjs";

const [url, secret] = process.argv.slice(2);
const browser = await open();
const page = await visit(browser, url);

await step("an empty network says how to begin", async () => {
  await page.getByRole("heading", { name: "The network is empty" }).waitFor();
  await inspect(page, "network-empty");
  await page.getByRole("link", { name: "Messages" }).click();
  await page.getByText("Nothing is connected yet").waitFor();
  await inspect(page, "messages-none");
  await page.goto(`${url}/#/components/nobody`);
  await page.getByRole("heading", { name: "There is no component nobody" }).waitFor();
  await page.goto(`${url}/#/nowhere`);
  await page.getByText("There is no such view here").waitFor();
});

await step("the first node is added", async () => {
  await page.goto(`${url}/#/network`);
  await page.getByRole("button", { name: "Add a node" }).click();
  await page.getByRole("searchbox", { name: "Search components" }).fill("repeat");
  await page.keyboard.press("Enter");
  await node(page, "repeat").getByText("up", { exact: true }).waitFor();
});

await step("the network is stopped and started", async () => {
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "Really stop" }).click();
  await node(page, "repeat").getByText("stopped").waitFor();
  await inspect(page, "network-stopped");
  await page.getByRole("button", { name: "Start" }).click();
  await node(page, "repeat").getByText("up", { exact: true }).waitFor();
});

await step("who may only look is shown nothing to change with", async () => {
  const guest = await visit(browser, `${url}/#token=${encodeURIComponent(secret)}`);
  await node(guest, "repeat").waitFor();
  for (const name of ["Add node", "Save", "Stop"]) assert.equal(await guest.getByRole("button", { name }).count(), 0, name);
  await node(guest, "repeat").click({ position: { x: 90, y: 24 } });
  await guest.getByRole("complementary", { name: "Node repeat" }).waitFor();
  assert.equal(await guest.getByRole("button", { name: "Remove node" }).count(), 0);
  await guest.keyboard.press("Delete");
  await inspect(guest, "network-readonly");
  await node(guest, "repeat").waitFor();
});

await step("a small window is enough", async () => {
  await page.setViewportSize({ width: 820, height: 600 });
  for (const view of ["network", "messages", "components"]) {
    await page.goto(`${url}/#/${view}`);
    await page.getByRole("navigation", { name: "Views" }).waitFor();
    await inspect(page, `small-${view}`);
  }
});

await step("a server that does not answer is said to, and asked again", async () => {
  const alone = await visit(browser, "about:blank");
  alone.expected = /ERR_FAILED/;
  await alone.route("**/api/status", (route) => route.abort());
  await alone.goto(url);
  await alone.getByRole("heading", { name: "The server cannot be reached" }).waitFor();
  await inspect(alone, "unreachable");
  const refused = alone.waitForEvent("requestfailed");
  await alone.getByRole("button", { name: "Try again" }).click();
  await refused;
  // From here on nobody clicks.
  await alone.unroute("**/api/status");
  await node(alone, "repeat").waitFor();
});

await browser.close();
finish();
