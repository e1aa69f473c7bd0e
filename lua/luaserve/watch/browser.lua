--- The script that pages load while their server is watched (served as /.luaserve/watch.js).
local M = {}

M.text = [[
(function () {
  "use strict";
  var me = document.currentScript, page = me ? me.getAttribute("data-page") : null;
  var isError = !!me && me.getAttribute("data-kind") === "error";
  var source = null, overlay = null, shown = 0, styles = null;

  function reload(generation) {
    try { // never twice for the same code: a page out of some cache would go on for ever
      if (sessionStorage.getItem("luaserve.reloaded") === generation + location.href) return;
      sessionStorage.setItem("luaserve.reloaded", generation + location.href);
    } catch (e) { /* no storage here */ }
    location.reload();
  }

  function hide() {
    if (overlay) overlay.remove();
    overlay = null;
    shown = 0;
  }

  function show(state) {
    if (shown === state.id && overlay) return;
    hide();
    shown = state.id;
    overlay = document.createElement("iframe");
    overlay.id = "luaserve-trouble";
    overlay.title = "The new code has failed";
    overlay.src = "/.luaserve/trouble?" + state.id;
    var s = overlay.style;
    s.position = "fixed"; s.inset = "0"; s.width = "100%"; s.height = "100%"; s.border = "0";
    s.zIndex = "2147483647"; s.background = "Canvas"; s.colorScheme = "light dark";
    document.documentElement.appendChild(overlay);
  }

  function restyle() {
    document.querySelectorAll('link[rel~="stylesheet"]').forEach(function (link) {
      var url = new URL(link.href, location.href);
      if (url.origin !== location.origin) return;
      url.searchParams.set("luaserve", Date.now().toString(36));
      var next = link.cloneNode();
      next.href = url.href;
      next.onload = next.onerror = function () { link.remove(); };
      link.after(next);
    });
  }

  function update(state) {
    if (page && state.generation !== page) return reload(state.generation);
    if (styles !== null && styles !== state.styles) restyle();
    styles = state.styles;
    if (state.trouble && !isError) show(state); else hide();
  }

  function connect() {
    if (source) return;
    source = new EventSource("/.luaserve/watch");
    source.addEventListener("state", function (event) { update(JSON.parse(event.data)); });
    source.onerror = function () {
      if (!source || source.readyState !== 2) return; // it tries again itself
      disconnect();
      setTimeout(look, 1000);
    };
  }

  function disconnect() {
    if (source) source.close();
    source = null;
  }

  function look() { // browsers have few connections for a host: one for each page that is seen
    if (document.visibilityState === "hidden") disconnect(); else connect();
  }

  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", look);
  look();
})();
]]

return M
