// Draws the diagrams of a page with the copy of Mermaid that JupyterLab ships: a module loader of forty lines.
(() => {
  "use strict";
  const config = {"config": "here"};
  const base = new URL(".", document.currentScript.src).href;
  const modules = {}, cache = {}, chunks = {};

  function require(id) {
    if (cache[id]) return cache[id].exports;
    const module = (cache[id] = { id, loaded: false, exports: {} });
    if (!modules[id]) throw new Error(`Mermaid asks for a module that is not here: ${id}`);
    modules[id].call(module.exports, module, module.exports, require);
    module.loaded = true;
    return module.exports;
  }
  require.m = modules;
  require.c = cache;
  require.g = window;
  require.o = (object, key) => Object.prototype.hasOwnProperty.call(object, key);
  require.d = (exports, getters) => {
    for (const key in getters)
      if (require.o(getters, key) && !require.o(exports, key)) Object.defineProperty(exports, key, { enumerable: true, get: getters[key] });
  };
  require.r = (exports) => {
    Object.defineProperty(exports, Symbol.toStringTag, { value: "Module" });
    Object.defineProperty(exports, "__esModule", { value: true });
  };
  require.n = (module) => {
    const get = module && module.__esModule ? () => module.default : () => module;
    require.d(get, { a: get });
    return get;
  };
  require.nmd = require.hmd = (module) => Object.assign(module, { paths: [], children: module.children || [] });
  require.e = (chunk) => (chunks[chunk] ??= load(String(chunk)));

  async function load(chunk) {
    for (const [alias, carrier, module] of config.virtual[chunk] ?? []) {
      await require.e(carrier);
      modules[alias] = (target) => (target.exports = require(module));
    }
    if (chunk in config.virtual) return;
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { src: `${base}${chunk}.js`, onload: resolve, onerror: () => reject(new Error(`missing: ${script.src}`)) });
      document.head.append(script);
    });
  }

  const queue = (window[config.name] ??= []);
  const take = ([, carried]) => Object.assign(modules, carried);
  queue.forEach(take);
  queue.push = take;

  async function draw() {
    const drawings = [...document.querySelectorAll("pre.mermaid")];
    if (!drawings.length) return;
    await Promise.all(config.start.map(require.e));
    const mermaid = require(config.entry).default;
    mermaid.initialize({ startOnLoad: false, theme: "neutral", securityLevel: "strict", fontFamily: "inherit" });
    await mermaid.run({ nodes: drawings });
    for (const drawing of drawings) {
      const svg = drawing.querySelector("svg");
      // A wide drawing is scrolled, also by keyboard, before its text becomes too small to read.
      svg.style.minWidth = `${Math.round(0.6 * parseFloat(svg.style.maxWidth))}px`;
      drawing.tabIndex = 0;
    }
  }
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", draw) : draw();
})();
