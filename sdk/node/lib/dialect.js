// SPDX-License-Identifier: Apache-2.0
'use strict';

/** In which of its ways a release of the SDK builds outputs and errors. It is found in the text of what is installed. */

const fs = require('node:fs');

const { HAND_OVER } = require('./hand-over.js');
const installed = require('./installed.js');
const release = require('./release.js');

/** @typedef {import('./facade').Package} Package */

/**
 * The order of an output's members: metadata, headers and the body; all as the service's model has them; or headers as they came.
 * @typedef {'listed' | 'declared' | 'sent'} Order
 */

/** @typedef {'shape' | 'name' | 'nothing'} Likeness by what an error may pass for one of another class; names count where there are no shapes */

/** How an error that is described is made. */
const MADE =
  /decorateServiceException\(Object\.assign\(exception, errorMetadata, \{\s+\$fault: \w+\.getMergedTraits\(\)\.error,\s+message,\s+\}, output\), dataObject\)/;
/** How one is made that is not. */
const NOT_DESCRIBED =
  /throw this\.decorateServiceException\(Object\.assign\(new ErrorCtor\(\{ name: errorName \}\), errorMetadata\), dataObject\)/;
/** What makes errors that tell of their name in another protocol. */
const COMPATIBLE = [
  'setQueryCompatError(dataObject, response)',
  'queryCompatOutput(dataObject, output)',
  'error.RequestId = reqId',
];

/** @type {WeakMap<Package, Dialect>} */
const dialects = new WeakMap();

class Dialect {
  /** @type {Order | undefined} */
  #order;
  /** @type {boolean | undefined} */
  #isListed;
  /** @type {boolean | undefined} */
  #isPadded;
  /** @type {boolean | undefined} */
  #hasCrc64;
  /** @type {boolean | undefined} */
  #hasFields;
  /** @type {boolean | undefined} */
  #showsResponse;
  /** @type {Likeness | undefined} */
  #likeness;
  /** @type {string | undefined} */
  #unsaid;
  /** @type {boolean | undefined} */
  #endsWithMetadata;
  /** @type {Map<string, boolean>} */
  #described = new Map();
  /** @type {boolean | undefined} */
  #isCompatible;
  /** @type {boolean | undefined} */
  #findsFormer;
  #owner;

  /**
   * How calls are made and answers are read, by operation; and how errors are made, by what is known of them.
   * @type {Map<object, any>}
   */
  plans = new Map();

  /**
   * @param {Package} owner
   */
  constructor(owner) {
    this.#owner = owner;
  }

  /** Whether the release has a function for each operation, rather than a description of it. */
  get isListed() {
    const owner = this.#owner;
    this.#isListed ??= owner.release <= release.LAST_LISTED || owner.text().includes('de_CommandError');
    return this.#isListed;
  }

  /** In which order the members of an output come. */
  get order() {
    this.#order ??= this.#findOrder();
    return this.#order;
  }

  /** @returns {Order} */
  #findOrder() {
    if (this.isListed) {
      return 'listed';
    }
    return this.#textOf('@smithy/core/protocols').includes('for (const header in headers)') ? 'sent' : 'declared';
  }

  /** Whether members that a document lacks are there all the same, as undefined. */
  get isPadded() {
    this.#isPadded ??=
      this.order === 'declared' && !this.#textOf('@smithy/core/protocols').includes('if (dataFromBody[member] != null)');
    return this.#isPadded;
  }

  /** Whether errors have all their members from the beginning. */
  get hasFields() {
    this.#hasFields ??= /class _?ServiceException [^]{0,300}\$retryable;/.test(
      this.#textOf('@smithy/core/client', '@smithy/smithy-client'),
    );
    return this.#hasFields;
  }

  /** Whether errors show their answer to all who list their members, which then is more than the shim has. */
  get showsResponse() {
    this.#showsResponse ??=
      this.hasFields &&
      !/"\$response", \{\s*value: response,\s*enumerable: false/.test(
        this.#textOf('@smithy/core/serde', '@smithy/middleware-serde'),
      );
    return this.#showsResponse;
  }

  /** By what an error may pass for one of a class that it is not of. */
  get likeness() {
    this.#likeness ??= this.#findLikeness();
    return this.#likeness;
  }

  /** @returns {Likeness} */
  #findLikeness() {
    let text;
    try {
      text = this.#textOf('@smithy/core/client', '@smithy/smithy-client');
    } catch {
      return 'nothing';
    }
    if (text.includes('targetName.length >= 6')) {
      return 'shape';
    }
    return /candidate\.name === this\.name/.test(text) ? 'name' : 'nothing';
  }

  /** What errors with a class of their own say where the service says nothing. */
  get unsaid() {
    const text = () => this.#textOf('@aws-sdk/core/protocols');
    this.#unsaid ??= /const message =[^;]*dataObject\.Message \?\?\s+"(\w+)";/.exec(text())?.[1] ?? 'UnknownError';
    return this.#unsaid;
  }

  /** Whether outputs of calls by form have their metadata at the end. */
  get endsWithMetadata() {
    this.#endsWithMetadata ??=
      !this.isListed &&
      /class AwsQueryProtocol [^]{0,6000}dataObject\.\$metadata = /.test(this.#textOf('@aws-sdk/core/protocols'));
    return this.#endsWithMetadata;
  }

  /**
   * Whether errors are made of an answer by its description, in the one way that is known.
   * @param {string} protocol the class that reads such answers
   */
  describesErrors(protocol) {
    let known = this.#described.get(protocol);
    if (known === undefined) {
      const text = this.#textOf('@aws-sdk/core/protocols');
      const begin = text.indexOf(`\nclass ${protocol} `);
      known = begin >= 0 && MADE.test(text.slice(begin, text.indexOf('\n}\n', begin))) && NOT_DESCRIBED.test(text);
      this.#described.set(protocol, known);
    }
    return known;
  }

  /** Whether errors tell of what they were called in the protocol that a service had before, in the one way that is known. */
  get isCompatible() {
    if (this.#isCompatible === undefined) {
      const text = this.#textOf('@aws-sdk/core/protocols');
      this.#isCompatible = COMPATIBLE.every((part) => text.includes(part));
    }
    return this.#isCompatible;
  }

  /** Whether what an error was called before is looked for among its fields. */
  get findsFormer() {
    this.#findsFormer ??= /findKey\(data[^)]*, "code"\)/.test(this.#textOf('@aws-sdk/core/protocols'));
    return this.#findsFormer;
  }

  /** Whether content is checked by CRC-64/NVME, which is in a package of its own. */
  get hasCrc64() {
    if (this.#hasCrc64 === undefined) {
      const { filename } = this.#owner;
      const middleware = installed.find(filename, '@aws-sdk/middleware-flexible-checksums');
      this.#hasCrc64 = Boolean(
        installed.find(filename, '@aws-sdk/checksums/flexible-checksums') ??
        (middleware && installed.find(fs.realpathSync(middleware), '@aws-sdk/crc64-nvme')),
      );
    }
    return this.#hasCrc64;
  }

  /**
   * The text of packages that this one uses, of which there is one at least.
   * @param {...string} names
   */
  #textOf(...names) {
    const files = names.map((name) => installed.find(this.#owner.filename, name)).filter((file) => file !== undefined);
    if (files.length === 0) {
      throw HAND_OVER;
    }
    return files.map((file) => fs.readFileSync(file, 'latin1')).join('\n');
  }
}

/**
 * The dialect of an installed package.
 * @param {Package} owner
 * @returns {Dialect}
 */
function of(owner) {
  let dialect = dialects.get(owner);
  if (dialect === undefined) {
    dialect = new Dialect(owner);
    dialects.set(owner, dialect);
  }
  return dialect;
}

module.exports = { of };
