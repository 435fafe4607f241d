// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of `@aws-sdk/lib-storage`: uploads of one part, which are a single call. */

const { EventEmitter } = require('node:events');

const client = require('./client.js');
const layer = require('./layer.js');
const { encoded } = require('./uri.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Class} Class */

/**
 * @typedef {object} State an upload that is not real
 * @property {any} options
 * @property {Uint8Array} data
 * @property {boolean} isSent
 * @property {object | undefined} result
 * @property {(aborted: Promise<unknown>) => void} join takes in what ends the upload if it is aborted
 */

/** The smallest size of parts, which is the usual one, in bytes. */
const PART = 5 * 1024 * 1024;
const OPTIONS = new Set(['client', 'params', 'partSize', 'queueSize', 'leavePartsOnError', 'tags']);

/** @type {WeakMap<object, State>} */
const uploads = new WeakMap();

/**
 * The class of uploads.
 * @param {Package} owner
 */
function makeUpload(owner) {
  const beneath = owner.beneath('Upload', (upload) => becomeReal(owner, upload));
  // What emitters have is on the prototype so that giving it to an upload does not reach for what is beneath.
  const emitter = { _events: undefined, _eventsCount: 0, _maxListeners: undefined };
  const made = layer.make('Upload', construct, { ...emitter, on, done }, beneath, EventEmitter.prototype);
  /** @type {(this: any, ...args: any[]) => unknown} */
  function construct(options) {
    const data = only(options);
    if (data === undefined) {
      return Reflect.construct(beneath.real(), [options], made);
    }
    Reflect.apply(EventEmitter, this, []);
    uploads.set(this, { options: { ...options }, data, isSent: false, result: undefined, join() {} });
    return undefined;
  }
  /**
   * @this {any}
   * @param {string} event
   * @param {(...args: any[]) => void} listener
   */
  function on(event, listener) {
    // Progress is told of by the name that was last asked for.
    define(this, 'uploadEvent', event);
    return EventEmitter.prototype.on.call(this, event, listener);
  }
  /** @this {any} */
  async function done() {
    const state = uploads.get(this);
    if (state === undefined || state.isSent) {
      becomeReal(owner, this);
      return beneath.real().prototype.done.call(this);
    }
    state.isSent = true;
    /** @type {Promise<unknown>} */
    const aborted = new Promise((resolve) => {
      state.join = resolve;
    });
    // What is aborted at once is not sent.
    await undefined;
    const isAborted = !uploads.has(this) && this.abortController.signal.aborted;
    return await (isAborted ? aborted : Promise.race([put(this, state), aborted]));
  }
  return made;
}

/**
 * The whole body of an upload that is a single call, or undefined.
 * @param {any} options
 * @returns {Uint8Array | undefined}
 */
function only(options) {
  const names = Object.keys(options ?? { none: undefined }).filter((name) => options?.[name] !== undefined);
  const { client: s3, params, partSize = PART, queueSize = 4, tags = [] } = options ?? {};
  if (
    !names.every((name) => OPTIONS.has(name)) ||
    s3 === null ||
    typeof s3 !== 'object' ||
    client.clients.get(s3)?.owner.service.signing !== 's3' ||
    !Number.isSafeInteger(partSize) ||
    partSize < PART ||
    !Number.isSafeInteger(queueSize) ||
    queueSize < 1 ||
    !Array.isArray(tags) ||
    tags.length > 0
  ) {
    return undefined;
  }
  const { Bucket, Key, Body, ContentLength } = params ?? {};
  if (typeof Bucket !== 'string' || typeof Key !== 'string' || ContentLength !== undefined) {
    return undefined;
  }
  const data = typeof Body === 'string' ? Buffer.from(Body) : Body;
  return data instanceof Uint8Array && data.byteLength <= partSize ? data : undefined;
}

/**
 * @param {any} upload
 * @param {State} state
 */
async function put(upload, state) {
  const { client: s3, params } = state.options;
  const known = /** @type {import('./client').Client} */ (client.clients.get(s3) ?? client.former.get(s3));
  const { PutObjectCommand } = known.owner.exports;
  const stored = await s3.send(new /** @type {Class} */ (PutObjectCommand)({ ...params, Body: state.data }));
  const { protocol, hostname } = new URL(/** @type {string} */ (process.env['AWS_ENDPOINT_URL']));
  const [bucket, key] = [encoded(params.Bucket), params.Key.split('/').map(encoded).join('/')];
  const place = known.config?.forcePathStyle ? `${hostname}/${bucket}` : `${bucket}.${hostname}`;
  state.result = { ...stored, Bucket: params.Bucket, Key: params.Key, Location: `${protocol}//${place}/${key}` };
  if (Object.hasOwn(upload, 'uploadEvent')) {
    const size = state.data.byteLength;
    upload.emit(upload.uploadEvent, { loaded: size, total: size, part: 1, Key: params.Key, Bucket: params.Bucket });
  }
  return state.result;
}

/**
 * @param {Package} owner
 * @param {any} upload
 */
function becomeReal(owner, upload) {
  const state = uploads.get(upload);
  if (state === undefined) {
    return;
  }
  uploads.delete(upload);
  layer.adopt(upload, Reflect.construct(owner.real()['Upload'], [state.options]));
  if (state.isSent) {
    define(upload, 'sent', true);
    define(upload, 'isMultiPart', false);
    define(upload, 'singleUploadResult', state.result);
    state.join(upload.__abortTimeout(upload.abortController.signal));
  }
}

/**
 * @param {object} upload
 * @param {string} name
 * @param {unknown} value
 */
function define(upload, name, value) {
  Object.defineProperty(upload, name, { value, writable: true, enumerable: true, configurable: true });
}

/** @type {import('./types').Service} */
module.exports = {
  errors: [],
  commands: {},
  others: (owner, name) => (name === 'Upload' ? makeUpload(owner) : undefined),
};
