// The item page's media: tabs, frames, blur.
import "./tabs.js";
import "./media.js";
