// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What is found in the text of a package. */

/** @typedef {{ kind: 'callable' | 'list' | 'object', at: number }} Definition */

const DEFINED = /(?<![^\n])Object\.defineProperty\(exports, "([\w$]+)"/y;
const ASSIGNED = /(?<![\w$])exports\.([\w$]+) = /y;
const GETTER = /^ {2}([\w$]+): \(\) => /gm;
/** By this Node finds a name that is there for safety only. */
const PROTO = "Object.defineProperty(exports, '__proto__'";
/** What the list of names begins with that some releases have at their end. */
const LISTED = '\n0 && (module.exports = {';

const DEFINITION =
  /^(?:(?:class|function|async function\*?) ([\w$]+)[ (]|var ([\w$]+);$|(?:exports\.|const |var |let )([\w$]+) = (\[|\{|class |_\w+;$))/gm;

/**
 * What an expression finds at each place where a string is.
 * @param {string} text
 * @param {string} string
 * @param {RegExp} expression
 */
function* at(text, string, expression) {
  for (let place = text.indexOf(string); place >= 0; place = text.indexOf(string, place + string.length)) {
    expression.lastIndex = place;
    const found = expression.exec(text);
    if (found) {
      yield found;
    }
  }
}

/**
 * All names that a package exports.
 * @param {string} text
 */
function names(text) {
  /** @type {Set<string>} */
  const found = new Set();
  const begin = text.indexOf('\n__export(');
  const getters = begin < 0 ? '' : text.slice(begin, text.indexOf('\n});', begin));
  for (const each of [
    at(text, 'Object.defineProperty(exports, "', DEFINED),
    getters.matchAll(GETTER),
    at(text, 'exports.', ASSIGNED),
  ]) {
    for (const [, name] of each) {
      found.add(/** @type {string} */ (name));
    }
  }
  return [...found];
}

/**
 * The names that `import` finds.
 * @param {string} text
 */
function importable(text) {
  const begin = text.lastIndexOf(LISTED);
  if (begin < 0) {
    return text.includes(PROTO) ? [...names(text), '__proto__'] : names(text);
  }
  const list = text.slice(begin + LISTED.length, text.indexOf('}', begin));
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/**
 * What is defined in a text, and how, as far as that can be told.
 * @param {string} text
 * @returns {Map<string, Definition>}
 */
function definitions(text) {
  const found = new Map();
  for (const match of text.matchAll(DEFINITION)) {
    const [all, callable, later, name, start] = match;
    /** @type {Definition['kind']} */
    const kind = start === '[' ? 'list' : (start ?? '').startsWith('{') || later ? 'object' : 'callable';
    found.set(callable ?? later ?? name, { kind, at: match.index + all.length - 1 });
  }
  return found;
}

/**
 * The names of the classes that extend another.
 * @param {string} text
 * @param {string} base
 */
function extending(text, base) {
  const expression = new RegExp(`(?<=^(?:var \\w+ = )?class _?([^\\W_]\\w*) extends (?:\\w+\\.)?)${base} `, 'my');
  return new Set([...at(text, `${base} `, expression)].map(([, name]) => name));
}

module.exports = { definitions, extending, importable, names };
