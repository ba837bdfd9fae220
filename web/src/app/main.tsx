import "../design/tokens.css";
import "../design/base.css";
import "../design/parts.css";
import "./shell.css";

import { createRoot } from "react-dom/client";

import { App } from "./App";
import { takeInvitation } from "./secret";
import { parseRoute } from "./route";
import { connect } from "./session";
import { startTheme } from "./theme";
import { VIEWS } from "./views";

takeInvitation();
startTheme();
// The view that is most likely wanted comes while the server is still being asked what it is.
const { view } = parseRoute(window.location.hash);
void VIEWS.find(({ path }) => path === (view || "network"))?.load();
void connect();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
