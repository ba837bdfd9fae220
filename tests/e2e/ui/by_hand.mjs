// The thermometer, wired and rewired by hand while it runs: node by_hand.mjs PAGE SECRET

import { finish, inspect, open, step, visit } from "./browser.mjs";
import { drag, edge, node, panel, port } from "./canvas.mjs";

const code = (format) => `"""Makes a temperature fit for a display."""

import msgflo


class FormatTemperature(msgflo.Participant):
    def __init__(self, role):
        super().__init__({
            "component": "thermometer/FormatTemperature",
            "label": "A temperature in words",
            "icon": "thermometer-half",
            "inports": [{"id": "temperature", "type": "number"}],
            "outports": [{"id": "text", "type": "string"}],
        }, role)

    def process(self, inport, msg):
        self.send("text", "${format}" % msg.data)
        self.ack(msg)


if __name__ == "__main__":
    msgflo.main(FormatTemperature)
`;

const [url, secret] = process.argv.slice(2);
const browser = await open();
const page = await visit(browser, `${url}/#token=${encodeURIComponent(secret)}`);
const live = (name) => panel(page, name).getByRole("list", { name: "Messages on this connection" });

async function write(text) {
  await page.getByRole("textbox", { name: "Source of thermometer/FormatTemperature" }).click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(text);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/^Saved\./).first().waitFor();
}

async function look(name) {
  await edge(page, name).focus();
  await page.keyboard.press("Enter");
}

await step("the sensor is connected to the display", async () => {
  await node(page, "inside").getByText("up", { exact: true }).waitFor();
  await node(page, "display").getByText("up", { exact: true }).waitFor();
  await drag(page, port(page, "inside", "temperature"), port(page, "display", "text"));
  await edge(page, /inside TEMPERATURE to display TEXT, bound/i).waitFor({ state: "attached" });
  await look(/inside TEMPERATURE to display TEXT/i);
  await live(/Connection inside/).getByText("22.3333333").first().waitFor();
});

await step("a component is written in Python", async () => {
  await page.getByRole("link", { name: "Components" }).click();
  await page.getByRole("button", { name: "New component" }).click();
  await page.getByLabel("Name").fill("FormatTemperature");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "thermometer/FormatTemperature" }).waitFor();
  await write(code("Temperature: %.1f C"));
});

await step("it is put between sensor and display", async () => {
  await page.getByRole("link", { name: "Network", exact: true }).click();
  await page.getByRole("button", { name: "Add node" }).click();
  await page.getByRole("button", { name: /FormatTemperature/ }).click();
  await node(page, "formatTemperature").getByText("up", { exact: true }).waitFor();
  await edge(page, /inside TEMPERATURE to display TEXT/i).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Delete");
  await edge(page, /inside TEMPERATURE to display TEXT/i).waitFor({ state: "detached" });
  await drag(page, port(page, "inside", "temperature"), port(page, "formatTemperature", "temperature"));
  await edge(page, /inside TEMPERATURE to formatTemperature temperature, bound/i).waitFor({ state: "attached" });
  await drag(page, port(page, "formatTemperature", "text"), port(page, "display", "text"));
  await page.getByRole("button", { name: "Tidy up the layout" }).click();
  await look(/formatTemperature text to display TEXT, bound/i);
  await live(/Connection formatTemperature/).getByText("Temperature: 22.3 C").first().waitFor();
  await inspect(page, "thermometer");
});

await step("the temperature is turned up with the slider", async () => {
  await node(page, "inside").click({ position: { x: 90, y: 24 } });
  const slider = panel(page, "Node inside").getByRole("slider");
  await slider.focus();
  await page.keyboard.press("End");
  await look(/formatTemperature text to display TEXT/i);
  await live(/Connection formatTemperature/).getByText("Temperature: 50.0 C").first().waitFor();
});

await step("the component is changed while it runs, and its instances are replaced", async () => {
  await node(page, "formatTemperature").click({ position: { x: 90, y: 24 } });
  await panel(page, "Node formatTemperature").getByRole("link", { name: "thermometer/FormatTemperature" }).click();
  await write(code("%.0f degrees"));
  await page.getByRole("link", { name: "Network", exact: true }).click();
  await look(/formatTemperature text to display TEXT/i);
  await live(/Connection formatTemperature/).getByText("50 degrees").first().waitFor();
});

await step("one that cannot run says why beside its code, and works again when it is repaired", async () => {
  await page.getByRole("link", { name: "Components" }).click();
  await page.getByRole("link", { name: /thermometer\/FormatTemperature/ }).click();
  await write("raise SystemExit('nothing is formatted today')");
  // It is started again a few times before that is said, each time after a longer pause.
  await page.getByRole("note", { name: "Why it failed" }).getByText(/nothing is formatted today/).waitFor({ timeout: 90_000 });
  await inspect(page, "components-failing");
  await write(code("%.2f C"));
  await page.getByRole("link", { name: "Network", exact: true }).click();
  await look(/formatTemperature text to display TEXT/i);
  await live(/Connection formatTemperature/).getByText("50.00 C").first().waitFor();
});

await browser.close();
finish();
