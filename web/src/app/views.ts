// The views, in the order of the navigation. Each is loaded when it is first opened.

import { lazy, type ComponentType } from "react";

import type { IconName } from "../design/Icon";
import type { Abilities } from "./session";

export interface View {
  /** The first part of its address: `#/network`. */
  path: string;
  title: string;
  icon: IconName;
  /** Whether the server has what the view shows. */
  needs: (abilities: Abilities) => boolean;
  /** Whether it fills the window, or is a page that scrolls. */
  fills: boolean;
  /** Loads it, before it is shown. */
  load: () => Promise<unknown>;
  Component: ComponentType;
}

function view(about: Omit<View, "load" | "Component">, load: () => Promise<{ default: ComponentType }>): View {
  return { ...about, load, Component: lazy(load) };
}

export const VIEWS: View[] = [
  view(
    {
      path: "overview",
      title: "Overview",
      icon: "overview",
      needs: () => true,
      fills: false,
    },
    () => import("../overview/OverviewView"),
  ),
  view(
    {
      path: "network",
      title: "Network",
      icon: "network",
      needs: ({ network }) => network,
      fills: true,
    },
    () => import("../network/NetworkView"),
  ),
  view(
    {
      path: "messages",
      title: "Messages",
      icon: "messages",
      needs: ({ network }) => network,
      fills: true,
    },
    () => import("../messages/MessagesView"),
  ),
  view(
    {
      path: "components",
      title: "Components",
      icon: "components",
      needs: ({ network }) => network,
      fills: true,
    },
    () => import("../components/ComponentsView"),
  ),
  view(
    {
      path: "scaling",
      title: "Scaling",
      icon: "scaling",
      needs: ({ scaling }) => scaling,
      fills: false,
    },
    () => import("../scaling/ScalingView"),
  ),
  view(
    {
      path: "apps",
      title: "Apps",
      icon: "apps",
      needs: ({ apps }) => apps,
      fills: false,
    },
    () => import("../apps/AppsView"),
  ),
];
