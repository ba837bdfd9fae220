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
  Component: ComponentType;
}

export const VIEWS: View[] = [
  {
    path: "overview",
    title: "Overview",
    icon: "overview",
    needs: () => true,
    fills: false,
    Component: lazy(() => import("../overview/OverviewView")),
  },
  {
    path: "network",
    title: "Network",
    icon: "network",
    needs: ({ network }) => network,
    fills: true,
    Component: lazy(() => import("../network/NetworkView")),
  },
  {
    path: "messages",
    title: "Messages",
    icon: "messages",
    needs: ({ network }) => network,
    fills: true,
    Component: lazy(() => import("../messages/MessagesView")),
  },
  {
    path: "components",
    title: "Components",
    icon: "components",
    needs: ({ network }) => network,
    fills: true,
    Component: lazy(() => import("../components/ComponentsView")),
  },
  {
    path: "scaling",
    title: "Scaling",
    icon: "scaling",
    needs: ({ scaling }) => scaling,
    fills: false,
    Component: lazy(() => import("../scaling/ScalingView")),
  },
  {
    path: "apps",
    title: "Apps",
    icon: "apps",
    needs: ({ apps }) => apps,
    fills: false,
    Component: lazy(() => import("../apps/AppsView")),
  },
];
