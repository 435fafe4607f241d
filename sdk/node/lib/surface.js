// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * All names that a package exports, found in its text, and what stands for those that the shim does not cover.
 *
 * `import` of a package reads each of its exports at once: so there has to be something for each that does not need the package.
 */

const classes = require('./error-classes.js');
const { definitions } = require('./text.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Exports} Exports */

/** Names of classes and functions that are defined in many ways. */
const CALLABLE = /^(?:paginate|waitFor|waitUntil)[A-Z]|(?:Command|Client|Exception|FilterSensitiveLog)$/;
const LITERAL = /\{\n(?:\s+(?:\w+|"[^"\\\n]*"): "[^"\\\n]*",?\n)*\}/y;
const ENTRY = /^\s+"?([^"\n]*?)"?: "([^"\n]*)"/gm;

/** @typedef {import('./text').Definition} Definition */

/**
 * What packages define.
 * @type {WeakMap<Package, Map<string, Definition>>}
 */
const defined = new WeakMap();

/**
 * Gives `exports` all names. Only what the text does not tell is made when it is looked at, since it takes the real package.
 * @param {Package} owner
 * @param {Exports} exports
 * @param {(name: string) => unknown} cover
 */
function fill(owner, exports, cover) {
  for (const name of owner.names()) {
    if (name !== '__esModule' && !Object.hasOwn(exports, name)) {
      const made = cover(name) ?? owner.loaded?.[name] ?? makeOther(owner, name);
      if (made === undefined) {
        define(exports, name, () => owner.real()[name]);
      } else {
        exports[name] = made;
      }
    }
  }
  if (owner.isMarked) {
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
  const get = () => (made ??= { value: make() }).value;
  const set = (/** @type {unknown} */ value) => {
    made = { value };
  };
  Object.defineProperty(exports, name, { get, set, enumerable: true, configurable: true });
}

/**
 * What stands for an export that the shim does not cover; undefined if the text does not tell what it is.
 * @param {Package} owner
 * @param {string} name
 */
function makeOther(owner, name) {
  if (classes.hasClass(owner, name)) {
    return classes.makeClass(owner, name);
  }
  const definition = CALLABLE.test(name) ? undefined : definitionOf(owner, name);
  if (definition === undefined ? CALLABLE.test(name) : definition.kind === 'callable') {
    // A bound function may be called, may be constructed, and has no prototype of its own that would be seen.
    return forward(function () {}.bind(undefined), owner, name);
  }
  if (definition === undefined) {
    return undefined;
  }
  if (definition.kind === 'list') {
    return forward([], owner, name);
  }
  LITERAL.lastIndex = definition.at;
  const [literal] = LITERAL.exec(owner.text()) ?? [];
  return literal === undefined
    ? forward({}, owner, name)
    : Object.fromEntries([...literal.matchAll(ENTRY)].map(([, key, value]) => [key, value]));
}

/**
 * @param {Package} owner
 * @param {string} name
 */
function definitionOf(owner, name) {
  let found = defined.get(owner);
  if (found === undefined) {
    found = definitions(owner.text());
    defined.set(owner, found);
  }
  return found.get(name);
}

/**
 * Something that is an export of the real package, which is looked up when it is used.
 * @param {object} target
 * @param {Package} owner
 * @param {string} name
 */
function forward(target, owner, name) {
  const forwarding = new Forwarding(owner, name);
  const proxy = new Proxy(target, forwarding);
  forwarding.proxy = proxy;
  return proxy;
}

/**
 * What is done with an export is done with the real one.
 * @implements {ProxyHandler<any>}
 */
class Forwarding {
  /** @type {unknown} */
  proxy;

  /**
   * @param {Package} owner
   * @param {string} name
   */
  constructor(owner, name) {
    this.owner = owner;
    this.name = name;
  }

  real() {
    return this.owner.real()[this.name];
  }

  /**
   * @param {any} _
   * @param {any} self
   * @param {any[]} args
   */
  apply(_, self, args) {
    return Reflect.apply(this.real(), self, args);
  }

  /**
   * @param {any} _
   * @param {any[]} args
   * @param {Function} made
   */
  construct(_, args, made) {
    return Reflect.construct(this.real(), args, made === this.proxy ? this.real() : made);
  }

  /**
   * @param {any} _
   * @param {PropertyKey} key
   */
  get(_, key) {
    return Reflect.get(this.real(), key);
  }

  /**
   * @param {any} _
   * @param {PropertyKey} key
   * @param {any} value
   */
  set(_, key, value) {
    return Reflect.set(this.real(), key, value);
  }

  /**
   * @param {any} _
   * @param {PropertyKey} key
   */
  has(_, key) {
    return Reflect.has(this.real(), key);
  }

  /**
   * @param {any} _
   * @param {PropertyKey} key
   */
  deleteProperty(_, key) {
    return Reflect.deleteProperty(this.real(), key);
  }

  /**
   * @param {any} _
   * @param {PropertyKey} key
   * @param {PropertyDescriptor} descriptor
   */
  defineProperty(_, key, descriptor) {
    return Reflect.defineProperty(this.real(), key, descriptor);
  }

  ownKeys() {
    return Reflect.ownKeys(this.real());
  }

  getPrototypeOf() {
    return Reflect.getPrototypeOf(this.real());
  }

  /**
   * @param {any} target
   * @param {PropertyKey} key
   */
  getOwnPropertyDescriptor(target, key) {
    const descriptor = Reflect.getOwnPropertyDescriptor(this.real(), key);
    const isFixed = Reflect.getOwnPropertyDescriptor(target, key)?.configurable === false;
    return descriptor && !isFixed ? { ...descriptor, configurable: true } : descriptor;
  }
}

module.exports = { fill, makeOther };
