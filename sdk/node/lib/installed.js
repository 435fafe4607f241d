// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Where the packages are that another package uses. */

const fs = require('node:fs');
const path = require('node:path');

const Module = /** @type {import('./types').ModuleClass} */ (/** @type {unknown} */ (require('node:module')));

/** Conditions that hold for `require`, and those that do not. */
const HOLDING = new Set(['default', 'node', 'require']);
const OTHERS = new Set(['browser', 'import', 'module', 'react-native', 'types']);

/**
 * The file that a package gets for a name, or undefined.
 * @param {string} filename of the package's, without links
 * @param {string} name with a scope
 */
function find(filename, name) {
  const found = plain(filename, name);
  try {
    return found ?? Module.createRequire(filename).resolve(name);
  } catch {
    return undefined;
  }
}

/**
 * The same for packages as they usually are; undefined if Node has to look for it, which takes it some milliseconds.
 * @param {string} filename
 * @param {string} name
 */
function plain(filename, name) {
  const [scope, own, ...rest] = name.split('/');
  const folder = Module._nodeModulePaths(path.dirname(filename))
    .map((modules) => `${modules}/${scope}/${own}`)
    .find((place) => fs.existsSync(`${place}/package.json`));
  if (folder === undefined) {
    return undefined;
  }
  const { exports, main } = JSON.parse(fs.readFileSync(`${folder}/package.json`, 'utf8'));
  const target = exports ? targetOf(exports[['.', ...rest].join('/')]) : rest.length === 0 ? main : undefined;
  const file = typeof target === 'string' ? path.join(folder, target) : undefined;
  return file?.endsWith('.js') && fs.existsSync(file) ? file : undefined;
}

/**
 * @param {any} conditions
 */
function targetOf(conditions) {
  if (conditions === null || typeof conditions !== 'object') {
    return undefined;
  }
  const name = Object.keys(conditions).find((each) => !OTHERS.has(each));
  return name !== undefined && HOLDING.has(name) ? conditions[name] : undefined;
}

module.exports = { find };
