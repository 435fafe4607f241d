// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * All names that a package exports, found in its text, and what stands for those that the shim does not cover.
 *
 * `import` of a package reads each of its exports at once: so there has to be something for each that does not need the package.
 */

const classes = require('./error-classes.js');
const { definitions, names } = require('./text.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Exports} Exports */

/** By these a package says that it was written as a module of JavaScript's own kind. */
const MARKS = ['Object.defineProperty(exports, "__esModule"', '\nvar __toCommonJS'];
/** Names of classes and functions that are defined in many ways. */
const CALLABLE = /^(?:paginate|waitFor|waitUntil)[A-Z]|(?:Command|Client|Exception|FilterSensitiveLog)$/;
const LITERAL = /\{\n(?:\s+(?:\w+|"[^"\\\n]*"): "[^"\\\n]*",?\n)*\}/y;
const ENTRY = /^\s+"?([^"\n]*?)"?: "([^"\n]*)"/gm;

/** @typedef {import('./text').Definition} Definition */

/**
 * Gives `exports` all names, each of which is made when it is looked at.
 * @param {Package} owner
 * @param {Exports} exports
 * @param {(name: string) => unknown} cover
 */
function fill(owner, exports, cover) {
  const text = owner.text();
  /** @type {Map<string, Definition> | undefined} */
  let defined;
  const make = (/** @type {string} */ name) => {
    const covered = cover(name);
    if (covered !== undefined || owner.loaded) {
      return covered ?? owner.loaded?.[name];
    }
    if (classes.hasClass(owner, name)) {
      return classes.makeClass(owner, name);
    }
    defined ??= definitions(text);
    return standIn(owner, name, defined.get(name));
  };
  for (const name of names(text)) {
    if (name !== '__esModule' && !Object.hasOwn(exports, name)) {
      define(exports, name, () => make(name));
    }
  }
  const main = owner.main();
  if (MARKS.some((mark) => main.includes(mark))) {
    Object.defineProperty(exports, '__esModule', { value: true });
  }
}

/**
 * @param {Exports} exports
 * @param {string} name
 * @param {() => unknown} make
 */
function define(exports, name, make) {
  /** @type {{ value: unknown } | undefined} */
  let made;
  // Not by putting the value in the getter's place, which takes a millisecond with so many others beside it.
  const get = () => (made ??= { value: make() }).value;
  const set = (/** @type {unknown} */ value) => {
    made = { value };
  };
  Object.defineProperty(exports, name, { get, set, enumerable: true, configurable: true });
}

/**
 * What stands for an export that the shim does not cover. Where the text does not tell what it is, that is the real one.
 * @param {Package} owner
 * @param {string} name
 * @param {Definition | undefined} definition
 */
function standIn(owner, name, definition) {
  const real = () => /** @type {any} */ (owner.real()[name]);
  if (CALLABLE.test(name) || definition?.kind === 'callable') {
    // A bound function may be called, may be constructed, and has no prototype of its own that would be seen.
    return forward(function () {}.bind(undefined), real);
  }
  if (definition === undefined) {
    return real();
  }
  if (definition.kind === 'list') {
    return forward([], real);
  }
  LITERAL.lastIndex = definition.at;
  const [literal] = LITERAL.exec(owner.text()) ?? [];
  return literal === undefined
    ? forward({}, real)
    : Object.fromEntries([...literal.matchAll(ENTRY)].map(([, key, value]) => [key, value]));
}

/**
 * Something that is another thing, which is looked up when it is used.
 * @param {object} target
 * @param {() => any} real
 */
function forward(target, real) {
  /** @type {object} */
  const proxy = new Proxy(target, {
    apply: (_, self, args) => Reflect.apply(real(), self, args),
    construct: (_, args, made) => Reflect.construct(real(), args, made === proxy ? real() : made),
    get: (_, key) => Reflect.get(real(), key),
    set: (_, key, value) => Reflect.set(real(), key, value),
    has: (_, key) => Reflect.has(real(), key),
    deleteProperty: (_, key) => Reflect.deleteProperty(real(), key),
    defineProperty: (_, key, descriptor) => Reflect.defineProperty(real(), key, descriptor),
    ownKeys: () => Reflect.ownKeys(real()),
    getPrototypeOf: () => Reflect.getPrototypeOf(real()),
    getOwnPropertyDescriptor(_, key) {
      const descriptor = Reflect.getOwnPropertyDescriptor(real(), key);
      const isFixed = Reflect.getOwnPropertyDescriptor(target, key)?.configurable === false;
      return descriptor && !isFixed ? { ...descriptor, configurable: true } : descriptor;
    },
  });
  return proxy;
}

module.exports = { fill };
