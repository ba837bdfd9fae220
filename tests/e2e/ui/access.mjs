// Who gets in, and what a secret allows: node access.mjs PAGE SECRET

import assert from "node:assert/strict";

import { finish, inspect, open, step, visit } from "./browser.mjs";

const [url, secret] = process.argv.slice(2);
const browser = await open();
const page = await visit(browser, url);

await step("without a secret there is a door, and nothing of the network", async () => {
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.locator(".react-flow").count(), 0);
  await inspect(page, "sign-in");
});

await step("a wrong secret is refused, in words", async () => {
  await page.getByLabel("Secret").fill(`${secret}?`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(/opens nothing here/).waitFor();
  await inspect(page, "sign-in-wrong");
});

await step("the right one opens", async () => {
  await page.getByLabel("Secret").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".react-flow__node").filter({ hasText: "only" }).waitFor();
  await page.reload();
  await page.locator(".react-flow__node").filter({ hasText: "only" }).waitFor();
});

await step("with it a component is written from a template, and changed", async () => {
  await page.getByRole("link", { name: "Components" }).click();
  await page.getByRole("button", { name: "New component" }).click();
  await page.getByLabel("Name").fill("no name");
  await page.getByText(/begins with a letter/).waitFor();
  await inspect(page, "components-new");
  await page.getByLabel("Name").fill("Format");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "core/Format" }).waitFor();
  const editor = page.getByRole("textbox", { name: "Source of core/Format" });
  await editor.getByText("class Format").waitFor();
  await editor.click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("# changed");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await inspect(page, "components-source");
  await page.reload();
  await editor.getByText("# changed").waitFor();
});

await step("signing out closes the door", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
});

await step("an invitation opens once, and leaves the address", async () => {
  const guest = await visit(browser, `${url}/#token=${encodeURIComponent(secret)}`);
  await guest.locator(".react-flow__node").filter({ hasText: "only" }).waitFor();
  assert(!guest.url().includes("token"), guest.url());
  const history = await guest.evaluate(() => window.history.length);
  assert(history <= 2, "the address with the secret is not one that Back leads to");
});

await browser.close();
finish();
