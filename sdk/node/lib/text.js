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
 * The names that an expression finds at each place where a string is.
 * @param {string} text
 * @param {string} string
 * @param {RegExp} expression
 * @param {Set<string>} found
 */
function collect(text, string, expression, found) {
  for (let place = text.indexOf(string); place >= 0; place = text.indexOf(string, place + string.length)) {
    expression.lastIndex = place;
    const name = expression.exec(text)?.[1];
    if (name !== undefined) {
      found.add(name);
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
  collect(text, 'Object.defineProperty(exports, "', DEFINED, found);
  for (const [, name] of getters.matchAll(GETTER)) {
    found.add(/** @type {string} */ (name));
  }
  collect(text, 'exports.', ASSIGNED, found);
  return [...found];
}

/**
 * The names that `import` finds.
 * @param {string} text
 * @param {string[]} exported all names
 */
function importable(text, exported) {
  const begin = text.lastIndexOf(LISTED);
  if (begin < 0) {
    return text.includes(PROTO) ? [...exported, '__proto__'] : exported;
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
  /** @type {Set<string>} */
  const found = new Set();
  collect(text, `${base} `, expression, found);
  return found;
}

module.exports = { definitions, extending, importable, names };
