// SPDX-License-Identifier: Apache-2.0
'use strict';

/** The classes of a service's errors. */

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
  const beneath = owner.beneath(name);
  const made = over(name, beneath, base);
  owner.whenReal(() => {
    beneath.real().prototype.constructor = made;
  });
  return made;
}

/**
 * @param {string} name
 * @param {{ real: () => Class, loaded: () => Class | undefined }} beneath
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

module.exports = { baseOf, hasClass, makeClass };
