import "../design/tokens.css";
import "../design/base.css";
import "../design/parts.css";
import "./shell.css";

import { createRoot } from "react-dom/client";

import { App } from "./App";
import { takeInvitation } from "./secret";
import { connect } from "./session";
import { startTheme } from "./theme";

takeInvitation();
startTheme();
void connect();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
