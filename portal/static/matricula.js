"use strict";
// Answers the password rules while somebody types, shows the password, and
// keeps a form from being sent twice. Nothing leaves the browser before the
// button is pressed; the server answers every rule again.
(function () {
  // A page that answers a form is kept as the page it is of: back and reload
  // show that one, and ask nobody whether to send the form once more.
  history.replaceState(null, "", location.href);
  for (const form of document.forms) {
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
      setTimeout(function () { delete form.dataset.sent; }, 8000);
    });
  }
  addEventListener("pageshow", function () {
    for (const form of document.forms) delete form.dataset.sent;
  });
  const problems = document.getElementById("problems");
  if (problems) problems.focus();

  const form = document.querySelector("form[data-password]");
  if (!form) return;
  const set = form.dataset, field = form.elements.password;
  const live = document.getElementById("live"), button = document.getElementById("show");
  const list = document.getElementById("password-rules");

  // A letter as people without it on their keyboard write it, as package policy
  // reads it. Names of another script are left to the server.
  const spellings = {
    "å": ["a", "aa"], "ø": ["o", "oe"], "ö": ["o", "oe"], "æ": ["ae"], "ä": ["a", "ae"], "ü": ["u", "ue"],
    "ß": ["ss"], "œ": ["oe"], "đ": ["d"], "ð": ["d"], "ł": ["l"], "ı": ["i"], "þ": ["th"]
  };
  function letters(text) {
    return Array.from(text.normalize("NFC").toLowerCase().normalize("NFC"), function (c) {
      return spellings[c] || [c.normalize("NFD").replace(/[\p{Mn}\p{Cf}]/gu, "")];
    });
  }
  function every(word) {
    return letters(word).reduce(function (words, ways) {
      return words.length > 32 ? words.map(function (w) { return w + ways[0]; })
        : words.flatMap(function (w) { return ways.map(function (way) { return w + way; }); });
    }, [""]);
  }
  // holds follows every spelling of the text at once: at has the places in word
  // that have just been read.
  function holds(text, word) {
    let at = [];
    return text.some(function (ways) {
      at = at.concat(0).flatMap(function (i) {
        return ways.filter(function (way) { return word.startsWith(way, i); }).map(function (way) { return i + way.length; });
      });
      at = Array.from(new Set(at));
      return at.includes(word.length);
    });
  }

  const rules = {
    length: function (all) { return all.length >= +set.min; },
    repeat: function (all) {
      let run = 0;
      return all.every(function (c, i) {
        run = c === all[i - 1] ? run + 1 : 1;
        return run <= +set.repeat;
      });
    },
    name: function (all, text) {
      const typed = letters(text), who = form.elements.username;
      return !(set.names + " " + (who && !who.readOnly ? who.value : "")).split(/[^\p{L}\p{M}\p{Nd}\p{Cf}]+/u).some(function (part) {
        return Array.from(part).length > 2 && every(part).some(function (word) { return holds(typed, word); });
      });
    },
    groups: function (all, text) {
      return [/[A-Z]/, /[a-z]/, /[0-9]/, /[!-/:-@[-`{-~”’]/].filter(function (group) {
        return group.test(text);
      }).length >= +set.groups;
    }
  };

  let timer;
  field.addEventListener("input", function () {
    const text = field.value.normalize("NFC"), all = Array.from(text);
    let kept = 0, asked = 0;
    for (const item of list.children) {
      const rule = rules[item.dataset.rule];
      const detail = item.querySelector("[data-detail]");
      if (detail) detail.remove();
      if (!rule) continue;
      asked++;
      const ok = text !== "" && rule(all, text);
      if (ok) kept++;
      item.dataset.state = text === "" ? "unknown" : ok ? "ok" : "no";
      item.querySelector("[data-word]").textContent = text === "" ? "" : "– " + (ok ? set.ok : set.no);
    }
    clearTimeout(timer);
    timer = setTimeout(function () {
      live.textContent = set.live.replace("{ok}", kept).replace("{all}", asked);
    }, 900);
  });

  button.hidden = false;
  button.addEventListener("click", function () {
    const visible = field.type === "text";
    field.type = visible ? "password" : "text";
    button.textContent = visible ? button.dataset.show : button.dataset.hide;
    field.focus();
  });
  form.addEventListener("submit", function () { field.type = "password"; });
})();
