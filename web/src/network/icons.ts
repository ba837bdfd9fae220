// MsgFlo's participants name icons of Font Awesome; we draw what comes nearest of our own few.

import { isIcon, type IconName } from "../design/Icon";

const MEANINGS: Record<string, IconName> = {
  random: "repeat",
  retweet: "repeat",
  cog: "gear",
  cogs: "gear",
  wrench: "gear",
  "file-image-o": "image",
  "picture-o": "image",
  camera: "image",
  hdd: "database",
  "hdd-o": "database",
  archive: "database",
  save: "database",
  cloud: "globe",
  sitemap: "network",
  desktop: "display",
  television: "display",
  tv: "display",
  "thermometer-half": "thermometer",
  "thermometer-full": "thermometer",
  "clock-o": "clock",
  "hourglass-o": "clock",
  user: "people",
  users: "people",
  lock: "lock",
  "lightbulb-o": "sun",
  "pencil-square-o": "edit",
  font: "text",
  "file-text-o": "text",
};

export function iconOf(name: string): IconName {
  return isIcon(name) ? name : (MEANINGS[name] ?? "box");
}
