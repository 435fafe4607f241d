// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * What a program gave, as it was when it was read: a program may change it while a call is underway. Bytes are not copied, and
 * neither is what is no plain object.
 * @param {any} value
 * @returns {any}
 */
function copy(value) {
  if (value === null || typeof value !== 'object') {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(copy);
  }
  if (value instanceof Set || value instanceof Map) {
    return value instanceof Set ? new Set(value) : new Map([...value].map(([key, item]) => [key, copy(item)]));
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return value;
  }
  const made = prototype === null ? Object.assign(Object.create(null), value) : { ...value };
  for (const name in made) {
    const member = made[name];
    if (typeof member === 'object') {
      made[name] = copy(member);
    }
  }
  return made;
}

module.exports = { copy };
