// What is on the canvas of the network, by what people call it.

export const node = (page, name) =>
  page.locator(".react-flow__node").filter({ has: page.locator(`strong[title="${name}"]`) });

export const port = (page, name, handle) => node(page, name).locator(`.react-flow__handle[data-handleid="${handle}"]`);

export const edge = (page, name) => page.getByRole("group", { name });

/** A panel at the side. */
export const panel = (page, name) => page.getByRole("complementary", { name });

/** From one port to another, as a hand does it. */
export async function drag(page, from, to) {
  // This waits until nothing moves any more.
  await from.hover();
  await page.mouse.down();
  const b = await to.boundingBox();
  await page.mouse.move(b.x - 40, b.y - 20, { steps: 5 });
  await page.mouse.move(b.x + b.width / 2, b.y + b.height / 2, { steps: 5 });
  await page.mouse.up();
}
