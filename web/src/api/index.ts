// The types of guv's REST interface, by their names; made from its OpenAPI document.

import type { components } from "./guv";

type Schemas = components["schemas"];

export type AddedApp = Schemas["AddedApp"];
export type AddedToken = Schemas["AddedToken"];
export type AppInfo = Schemas["AppInfo"];
export type AppList = Schemas["AppList"];
export type Chart = Schemas["Chart"];
export type Charts = Schemas["Charts"];
export type Condition = Schemas["Condition"];
export type ConfigText = Schemas["ConfigText"];
export type Explained = Schemas["Explained"];
export type Me = Schemas["Me"];
export type Operation = Schemas["Operation"];
export type Operations = Schemas["Operations"];
export type Preview = Schemas["Preview"];
export type RoleNow = Schemas["RoleNow"];
export type RolePreview = Schemas["RolePreview"];
export type Said = Schemas["Said"];
export type Scaling = Schemas["Scaling"];
export type Series = Schemas["Series"];
export type TokenInfo = Schemas["TokenInfo"];
export type TokenList = Schemas["TokenList"];
export type Totals = Schemas["Totals"];
export type Verdict = Schemas["Verdict"];
export type Version = Schemas["Version"];
export type Versions = Schemas["Versions"];
