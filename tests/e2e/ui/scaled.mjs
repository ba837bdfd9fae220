// `msgflo run --scale` by hand: a network whose workers follow its queue, on the page of the network.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { finish, inspect, open, step, until, visit } from "./browser.mjs";
import { run, start } from "./program.mjs";

const { MSGFLO, MSGFLO_E2E_PYTHON: PYTHON } = process.env;
const SLOW = join(dirname(fileURLToPath(import.meta.url)), "slow.py");
const folder = mkdtempSync(join(tmpdir(), "scaled-page-"));
const scaling = join(folder, "autoscale.guv.yaml");
const config = `'*': {policy: proportional, pollinterval: 0.5, history: 3}
work: {queue: work.IN, processing: 0.5, stddev: 0.1, deadline: 20, boot: 1, minimum: 1, maximum: 4}
`;
writeFileSync(scaling, config);
writeFileSync(join(folder, "service.fbp"), "work(slow/Work) OUT -> IN after(slow/Work)\n");
const library = { name: "slow", msgflo: { namespace: "slow", components: { Work: `${PYTHON} ${SLOW} #ROLE` } } };
writeFileSync(join(folder, "package.json"), JSON.stringify(library));
const look = ["network:status", "graph:readonly", "component:getsource"];
const all = [...look, "protocol:network", "protocol:graph", "protocol:runtime", "protocol:component"];
writeFileSync(join(folder, "permissions.json"), JSON.stringify({ all, look }));

const msgflo = await start(
  MSGFLO,
  ["run", "service.fbp", "--scale", scaling, "--port", "0", "--state", "state", "--broker", "embedded:?port=0", "--permissions", "permissions.json"],
  /page: (http:\/\/[^\s/]+)\//,
  { cwd: folder },
);
const url = msgflo.found;
const broker = await until("the broker", async () => {
  const response = await fetch(`${url}/api/status`, { headers: { authorization: "Bearer all" } });
  return (await response.json()).broker;
});
const browser = await open();
const page = await visit(browser, `${url}/#token=all`);
const goTo = async (page, view) => page.getByRole("navigation").getByRole("link", { name: view }).click();

await step("the overview tells of the network and of its roles", async () => {
  await goTo(page, "Overview");
  await page.getByText("All is well").waitFor();
  for (const tile of ["Participants", "Connections", "Messages", "Broker", "Roles", "Workers"]) {
    await page.getByRole("region", { name: tile, exact: true }).waitFor();
  }
  await inspect(page, "overview-both");
});

await step("work comes, workers follow, and the page says why", async () => {
  await goTo(page, "Scaling");
  await page.getByRole("link", { name: "work", exact: true }).click();
  run(PYTHON, [SLOW, "feed", "120", broker]);
  await page.getByRole("button", { name: "10 min" }).click();
  const mark = page.getByRole("button", { name: /1 → \d workers/ }).first();
  await mark.waitFor();
  await mark.click();
  await page.getByRole("complementary").getByText("up at once", { exact: true }).waitFor();
  await page.getByText(/of \d+ jobs/).waitFor();
  await inspect(page, "scaled-up");
  // Back to one, once all is done.
  await page.getByRole("button", { name: /\d → 1 workers/ }).last().waitFor({ timeout: 60_000 });
});

await step("the file is the configuration, and its versions are kept", async () => {
  await page.goto(`${url}/#/scaling/service/config`);
  const editor = page.getByRole("textbox", { name: "Configuration, YAML" });
  await editor.waitFor();
  const write = async (text) => {
    await editor.click();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText(text);
  };
  await write(config.replace("work:", "worker:"));
  await page.getByText("we start: ").waitFor();
  await page.getByText("2:1", { exact: true }).waitFor();
  await write(config.replace("maximum: 4", "maximum: 3"));
  await page.getByText("No errors").waitFor();
  await page.getByRole("button", { name: "Take into force" }).click();
  await page.getByText("Version 2", { exact: true }).waitFor();
  assert.match(readFileSync(scaling, "utf8"), /maximum: 3/);
  assert.match(await editor.textContent(), /maximum: 3/);
  await until("nothing to take", () => page.getByRole("button", { name: "Take into force" }).isDisabled());
  await inspect(page, "scaled-config");
});

await step("a secret that only lets look, lets only look", async () => {
  const other = await visit(browser, `${url}/#token=look`);
  await goTo(other, "Scaling");
  await other.getByText("Read only").waitFor();
  await other.getByRole("link", { name: "work", exact: true }).click();
  await other.getByRole("region", { name: "Workers", exact: true }).waitFor();
  assert.equal(await other.getByRole("button", { name: "Pause" }).count(), 0);
  const refused = await fetch(`${url}/v1/apps/service/roles/work/pause`, {
    method: "PUT",
    headers: { authorization: "Bearer look", "content-type": "application/json" },
    body: '{"seconds": 60}',
  });
  assert.equal(refused.status, 403);
  const unknown = await fetch(`${url}/v1/apps`);
  assert.equal(unknown.status, 401);
});

await browser.close();
assert.equal(await msgflo.stop(), 0, msgflo.log());
rmSync(folder, { recursive: true });
finish();
