"use strict";
(function () {
  var query = document.getElementById("query");
  var found = document.getElementById("found");
  var opened = [];
  var pending = 0;

  function plain(text) { return text.normalize("NFC").toLowerCase(); }

  function count(number, what) { return number + " " + what + (number === 1 ? "" : "s"); }

  // Names are read from the page itself, so that no second copy of them has to be kept in step.
  var groups = Array.from(document.querySelectorAll(".group"), function (group) {
    var files = Array.from(group.querySelectorAll(".file"), function (file) {
      return { element: file, name: plain(file.querySelector(".name").textContent) };
    });
    return { element: group, files: files, cluster: group.tagName === "ARTICLE" };
  });

  function showGroup(group, wanted) {
    var hits = 0;
    group.files.forEach(function (file) {
      var hit = wanted !== "" && file.name.includes(wanted);
      file.element.classList.toggle("hit", hit);
      if (!hit) { return; }
      hits += 1;
      var folded = file.element.closest("details");
      if (folded && !folded.open) { folded.open = true; opened.push(folded); }
    });
    group.element.hidden = wanted !== "" && hits === 0;
    return hits;
  }

  function search() {
    pending = 0;
    var wanted = plain(query.value.trim());
    opened.forEach(function (folded) { folded.open = false; });
    opened = [];
    var files = 0, clusters = 0;
    groups.forEach(function (group) {
      var hits = showGroup(group, wanted);
      files += hits;
      if (hits && group.cluster) { clusters += 1; }
    });
    document.body.classList.toggle("searching", wanted !== "");
    found.textContent = wanted === "" ? "" : files === 0 ? "No matching file" :
      count(files, "file") + ", in " + count(clusters, "cluster");
  }

  query.addEventListener("input", function () {
    if (!pending) { pending = requestAnimationFrame(search); }
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && document.activeElement !== query && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      query.focus();
    } else if (event.key === "Escape" && document.activeElement === query) {
      query.value = "";
      search();
    }
  });
  document.getElementById("bar").hidden = false;

  var probe = document.getElementById("probe");
  if (probe) {
    var points = probe.dataset.points.split(";").map(function (point) { return point.split("|"); });
    var lines = document.querySelectorAll("line.probe");
    var showPoint = function () {
      var point = points[probe.value];
      lines.forEach(function (line) {
        line.setAttribute("x1", point[1]);
        line.setAttribute("x2", point[1]);
        line.toggleAttribute("hidden", probe.value === probe.defaultValue);
      });
      probe.setAttribute("aria-valuetext", point[0] + ": " + point[2]);
      document.getElementById("probed").textContent = point[0] + ": " + point[2];
    };
    probe.addEventListener("input", showPoint);
    probe.closest(".probing").hidden = false;
    showPoint();
  }
  if (query.value) { search(); }
}());
