// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Classes that lie over the SDK's own: a few members of theirs, and beneath them the real class, which is loaded when something
 * reaches that far.
 *
 * A layer is there for good. Objects that it makes are the shim's until they need to be real; then they get what a real one
 * has, and remain who they are.
 */

/** @typedef {import('./types').Class} Class */
/**
 * @typedef {object} Beneath what lies under a layer
 * @property {() => Class} real the real class, which is loaded if it is not there
 * @property {() => Class | undefined} loaded the real class, if it is there
 * @property {((given: any[]) => any[]) | undefined} [args] what objects of the real class are made of, if that is not just what was given
 * @property {((object: unknown) => boolean) | undefined} [isAlike] whether an object passes for one of the real class, where that is
 *   not seen by its prototypes
 * @property {((object: object) => void) | undefined} become makes an object of the layer a real one, unless it is one; undefined
 *   if objects find nothing in the real class that the shim's lacks
 */

/** What languages and libraries ask every object for. None of the SDK's classes has these. */
const COMMON = new Set(['then', 'toJSON', 'inspect', 'asymmetricMatch', 'nodeType', '$$typeof', '@@__IMMUTABLE_ITERABLE__@@']);

/** The prototypes of layers. */
const prototypes = new WeakSet();

/**
 * A class of this name over a real one.
 * @param {string} name
 * @param {(this: any, ...args: any[]) => unknown} begin fills in `this`, or returns a real object to take its place
 * @param {Record<string, unknown>} members those of the shim
 * @param {Beneath} beneath
 * @param {object} base the prototype of what is beneath as long as it is not there
 * @returns {Class}
 */
function make(name, begin, members, beneath, base = Object.prototype) {
  /** @type {any} */
  const layer = layered;
  /** @type {(this: any, ...args: any[]) => any} */
  function layered(...args) {
    if (new.target === undefined) {
      // Which is an error, and says so in the real class's words.
      return Reflect.apply(beneath.real(), undefined, args);
    }
    // A program's own subclass is one of the real class.
    return new.target === layer ? begin.apply(this, args) : construct(beneath, args, /** @type {any} */ (new.target));
  }
  Object.defineProperty(layer, 'name', { value: name });
  Object.defineProperty(layer, Symbol.hasInstance, {
    value(/** @type {unknown} */ object) {
      if (this === layer) {
        const real = beneath.loaded();
        const isOf = (/** @type {Class} */ { prototype: it }) =>
          Object.prototype.isPrototypeOf.call(it, /** @type {object} */ (object));
        if (isOf(layer)) {
          return true;
        }
        if (beneath.isAlike) {
          return (real !== undefined && isOf(real)) || beneath.isAlike(object);
        }
        return real !== undefined && object instanceof real;
      }
      return Function.prototype[Symbol.hasInstance].call(this, object);
    },
  });
  Object.setPrototypeOf(
    layer,
    look(beneath.real, beneath.loaded, () => {}, Function.prototype),
  );
  const { prototype } = layer;
  prototypes.add(prototype);
  for (const [key, value] of Object.entries(members)) {
    Object.defineProperty(prototype, key, { value, writable: true, enumerable: false, configurable: true });
  }
  Object.setPrototypeOf(
    prototype,
    look(
      () => beneath.real().prototype,
      () => beneath.loaded()?.prototype,
      beneath.become,
      base,
    ),
  );
  return layer;
}

/**
 * What stands for an object that is looked up only when it is needed, as the prototype of another.
 * @param {() => object} real
 * @param {() => object | undefined} loaded
 * @param {((receiver: object) => void) | undefined} become
 * @param {object} base
 */
function look(real, loaded, become, base) {
  const isCommon = (/** @type {string | symbol} */ key) =>
    become === undefined || typeof key === 'symbol' || COMMON.has(key) || key in base;
  /** Where to look for what the shim has: a layer that this one extends is as a program may have changed it. */
  const nearest = (/** @type {string | symbol} */ key) => {
    const there = loaded();
    const isExtended = prototypes.has(base) && Object.hasOwn(base, key);
    return there === undefined || (isExtended && !Object.hasOwn(there, key)) ? base : there;
  };
  return new Proxy(Object.create(base), {
    get(_, key, receiver) {
      if (isCommon(key)) {
        return Reflect.get(nearest(key), key, receiver);
      }
      become?.(receiver);
      return Object.hasOwn(receiver, key) ? receiver[key] : Reflect.get(real(), key, receiver);
    },
    has: (_, key) => Reflect.has(isCommon(key) ? (loaded() ?? base) : real(), key),
    set(_, key, value, receiver) {
      if (!isCommon(key)) {
        become?.(receiver);
      }
      if (Object.hasOwn(receiver, key)) {
        return Reflect.set(receiver, key, value);
      }
      return Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true });
    },
    getPrototypeOf: () => loaded() ?? base,
  });
}

/**
 * Makes a real object.
 * @param {Beneath} beneath
 * @param {any[]} args
 * @param {Class} [made] the class that it is to be of
 */
function construct({ real, args: told }, args, made = real()) {
  return Reflect.construct(real(), told ? told(args) : args, made);
}

/**
 * Gives an object of a layer what a real one has of its own.
 * @param {object} object
 * @param {object} real
 */
function adopt(object, real) {
  for (const key of Reflect.ownKeys(real)) {
    if (!Object.hasOwn(object, key)) {
      Object.defineProperty(object, key, /** @type {PropertyDescriptor} */ (Reflect.getOwnPropertyDescriptor(real, key)));
    }
  }
}

module.exports = { adopt, construct, make };
