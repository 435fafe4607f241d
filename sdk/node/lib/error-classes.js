// SPDX-License-Identifier: Apache-2.0
'use strict';

/** The classes of a service's errors. */

const dialect = require('./dialect.js');
const { HAND_OVER } = require('./hand-over.js');
const layer = require('./layer.js');
const { extending } = require('./text.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Class} Class */

/**
 * Names of the errors that a release has a class of its own for.
 * @type {WeakMap<Package, Set<string | undefined>>}
 */
const classes = new WeakMap();

/**
 * Classes of which it is known whether they have one.
 * @type {WeakSet<Class>}
 */
const shaped = new WeakSet();

/** How classes name the shape in the service's model that they are for. */
const SHAPE = /^class \w+ extends \w+ \{\s+static shapeId = "([^"]+)"/;
/** How a description of an error says what it is called in forms. */
const CALLED = /^var \w+\$? = \[-3, \w+, \w+,\s+\{ \[_aQE\]: \[`([^`]+)`/;
/** As much of it as has that. */
const DESCRIPTION = 300;
/** The shortest name of a class that an object may pass for one of by its own. */
const SHORTEST = 6;

/**
 * The name of the class of a service's errors.
 * @param {Package} owner
 */
function baseOf(owner) {
  return /** @type {string} */ (owner.service.base);
}

/**
 * The class for one of a service's errors.
 * @param {Package} owner
 * @param {string} name
 * @returns {Class}
 */
function makeClass(owner, name) {
  const base = baseOf(owner);
  if (name === base) {
    const general = over(
      'ServiceException',
      {
        real: () => Object.getPrototypeOf(owner.real()[base]),
        loaded: () => owner.loaded && Object.getPrototypeOf(owner.loaded[base]),
      },
      Error,
    );
    return stand(owner, name, general);
  }
  return stand(owner, name, /** @type {Class} */ (owner.exports[base]));
}

/**
 * The class that errors are of whoever makes them, with the name of one that the package exports.
 * @param {Package} owner
 * @param {string} name
 * @param {Class} base
 */
function stand(owner, name, base) {
  const beneath = { ...owner.beneath(name), isAlike: (/** @type {any} */ object) => isAlike(owner, name, object) };
  const made = over(name, beneath, base);
  owner.whenReal(() => {
    const real = /** @type {any} */ (beneath.real());
    real.prototype.constructor = made;
    if (Object.hasOwn(real, 'shapeId')) {
      giveShape(made, real.shapeId);
    }
  });
  return made;
}

/**
 * @param {string} name
 * @param {Omit<import('./layer').Beneath, 'become'>} beneath
 * @param {Function} base
 * @returns {Class}
 */
function over(name, beneath, base) {
  const made = layer.make(
    name,
    (...args) => Reflect.construct(beneath.real(), args, made),
    {},
    { ...beneath, become: undefined },
    base.prototype,
  );
  return made;
}

/**
 * Whether an object passes for an error of a class by what it is called, as it does in some releases.
 * @param {Package} owner
 * @param {string} name of the class
 * @param {any} object
 */
function isAlike(owner, name, object) {
  if (!['client', 'server'].includes(object?.$fault) || !object.$metadata) {
    return false;
  }
  const { likeness } = dialect.of(owner);
  if (likeness !== 'shape') {
    return likeness === 'name' && object.name === name;
  }
  const kinds = [];
  for (let kind = Object.getPrototypeOf(object); kind && kind !== Object.prototype; kind = Object.getPrototypeOf(kind)) {
    kinds.push(kind.constructor);
  }
  if (owner.text().includes('static shapeId = ') && kinds.some((kind) => kind && Object.hasOwn(kind, 'shapeId'))) {
    return false;
  }
  return name.length >= SHORTEST && (object.name === name || kinds.some((kind) => kind?.name === name));
}

/**
 * The class of errors that the shim makes, with what others look for in it.
 * @param {Package} owner
 * @param {string} name
 * @returns {Class}
 */
function classOf(owner, name) {
  const found = /** @type {Class | undefined} */ (owner.exports[name]);
  if (found === undefined) {
    throw HAND_OVER;
  }
  if (!shaped.has(found)) {
    shaped.add(found);
    for (const each of [baseOf(owner), name]) {
      const [, shape] = SHAPE.exec(bodyOf(owner, each)) ?? [];
      if (shape !== undefined) {
        giveShape(/** @type {Class} */ (owner.exports[each]), shape);
      }
    }
  }
  return found;
}

/**
 * Has a class name the shape in the service's model that it is for.
 * @param {Class} made
 * @param {string} shape
 */
function giveShape(made, shape) {
  if (!Object.hasOwn(made, 'shapeId')) {
    Object.defineProperty(made, 'shapeId', { value: shape, writable: true, enumerable: true, configurable: true });
  }
}

/**
 * The text of a class of errors after which no real client makes a call again.
 * @param {Package} owner
 * @param {string} name
 */
function textOf(owner, name) {
  const found = bodyOf(owner, name);
  if (!found.includes('$fault: "client"') || found.includes('$retryable')) {
    throw HAND_OVER;
  }
  return found;
}

/**
 * The text of a class; an empty one if there is none. Texts are long, and so searched by plain strings.
 * @param {Package} owner
 * @param {string} name
 */
function bodyOf(owner, name) {
  const text = owner.text();
  for (const start of [`class ${name} extends `, `class _${name} extends `]) {
    const begin = text.indexOf(start);
    if (begin >= 0) {
      return text.slice(begin, text.indexOf('\n}', begin));
    }
  }
  return '';
}

/**
 * Whether a release that describes its errors says that those of a class are called this in forms.
 * @param {Package} owner
 * @param {string} name of the class
 * @param {string} code
 */
function isCalled(owner, name, code) {
  const text = owner.text();
  return [`${name}$`, name].some((each) => {
    const begin = text.indexOf(`var ${each} = [-3, `);
    return CALLED.exec(begin < 0 ? '' : text.slice(begin, begin + DESCRIPTION))?.[1] === code;
  });
}

/**
 * Whether this release has a class of its own for an error.
 * @param {Package} owner
 * @param {string} name
 */
function hasClass(owner, name) {
  const { base, errors } = owner.service;
  if (errors.includes(name) || base === undefined) {
    return base !== undefined;
  }
  let found = classes.get(owner);
  if (found === undefined) {
    found = extending(owner.text(), base);
    classes.set(owner, found);
  }
  return found.has(name);
}

module.exports = { baseOf, classOf, hasClass, isCalled, makeClass, textOf };
