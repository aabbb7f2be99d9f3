// The item page's media: tabs, frames, blur.
import "../shell/tabs.js";
import "../review/media.js";
