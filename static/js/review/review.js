// The review page: each part below does one job and survives the swap to the next item.
import "../shell/tabs.js";
import "./media.js";
import "./earlier.js";
import "./context.js";
import "./verdict.js";
import "./adjudicate.js";
import "./steps.js";
import "./links.js";
import "./regenerate.js";
import "./draft.js";
import "./lease.js";
import "./demands.js";
import "./ahead.js";
import "./arrival.js";
import "../keys/keys.js";
