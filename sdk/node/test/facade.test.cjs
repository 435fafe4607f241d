// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

// A package of the SDK's form, as small as it can be: what is tested is how the shim takes its place.
const MAIN = `'use strict';
globalThis.loaded = (globalThis.loaded ?? 0) + 1;
class Client {
    constructor(config) { this.config = config; this.middlewareStack = {}; }
    send(command) { return Promise.resolve(['real', command.constructor.name, command.input]); }
}
class ServiceException extends Error {}
class S3ServiceException extends ServiceException {
}
class NoSuchKey extends S3ServiceException {
}
class S3Client extends Client {
    destroy() { return 'destroyed'; }
}
class S3 extends S3Client {
    listBuckets() { return this.send(new ListBucketsCommand({})); }
}
class GetObjectCommand {
    static getEndpointParameterInstructions() { return {}; }
    constructor(input) { this.input = input; this.middlewareStack = {}; }
}
class ListBucketsCommand {
    constructor(input) { this.input = input; }
}
const paginateListObjectsV2 = (config) => config;
const StorageClass = {
    GLACIER: "GLACIER",
    "some:other": "some",
};
var Thing$ = [3, "thing"];
exports.$Command = GetObjectCommand;
exports.GetObjectCommand = GetObjectCommand;
exports.ListBucketsCommand = ListBucketsCommand;
exports.NoSuchKey = NoSuchKey;
exports.S3 = S3;
exports.S3Client = S3Client;
exports.S3ServiceException = S3ServiceException;
exports.StorageClass = StorageClass;
exports.Thing$ = Thing$;
exports.paginateListObjectsV2 = paginateListObjectsV2;
`;

let folder = '';

before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'facade-'));
  const installed = path.join(folder, 'node_modules/@aws-sdk/client-s3');
  fs.mkdirSync(path.join(installed, 'dist-cjs'), { recursive: true });
  fs.writeFileSync(
    path.join(installed, 'package.json'),
    JSON.stringify({ name: '@aws-sdk/client-s3', version: '3.1100.0', main: './dist-cjs/index.js' }),
  );
  fs.writeFileSync(path.join(installed, 'dist-cjs/index.js'), MAIN);
});

after(() => fs.rmSync(folder, { recursive: true }));

/**
 * What a program prints, which runs with the shim or without.
 * @param {string} program
 * @param {{ name?: string, isOff?: boolean, options?: string }} [how]
 */
function run(program, { name = 'program.cjs', isOff = false, options = '' } = {}) {
  const file = path.join(folder, name);
  fs.writeFileSync(file, program);
  const env = {
    ...process.env,
    NEXUS_SDK: isOff ? 'off' : 'on',
    NODE_OPTIONS: `${options} --require ${path.resolve(__dirname, '../register.cjs')}`,
    NODE_TEST_CONTEXT: undefined,
  };
  return execFileSync(process.execPath, [file], { encoding: 'utf8', env });
}

/**
 * Asserts that a program prints the same with the shim and without, and returns that.
 * @param {string} program
 * @param {string} [name]
 */
function same(program, name = 'program.cjs') {
  const printed = run(program, { name });
  assert.equal(printed, run(program, { name, isOff: true }));
  return printed;
}

test('what the shim covers does not load the package', () => {
  const program = `
    const { S3, S3Client, GetObjectCommand, NoSuchKey, StorageClass } = require('@aws-sdk/client-s3');
    const client = new S3Client({ region: 'eu-west-1' });
    console.log(client instanceof S3Client, new S3() instanceof S3Client, new GetObjectCommand({ Key: 'x' }).input, StorageClass, NoSuchKey.name, globalThis.loaded);
  `;
  assert.match(run(program), /^true true \{ Key: 'x' \} .* NoSuchKey undefined\n$/s);
});

test('importing the package does not load it, and gives all that it exports', () => {
  const program = `
    import * as all from '@aws-sdk/client-s3';
    import whole, { S3Client, paginateListObjectsV2 } from '@aws-sdk/client-s3';
    console.log(Object.keys(all).filter((name) => name !== 'module.exports').join(' '), S3Client === whole.S3Client, typeof paginateListObjectsV2);
  `;
  assert.match(same(program, 'program.mjs'), /StorageClass Thing\$ default paginateListObjectsV2 true function\n$/);
  assert.equal(run("import '@aws-sdk/client-s3'; console.log(globalThis.loaded);", { name: 'program.mjs' }), 'undefined\n');
});

test('a program reads the package as it is', () => {
  // The loader runs such a file, as it reads others.
  const tool = "module.exports = require('node:fs').readFileSync(require.resolve('@aws-sdk/client-s3'), 'utf8').length;";
  fs.writeFileSync(path.join(folder, 'tool.cjs'), tool);
  const program = `
    import fs from 'node:fs';
    import length from './tool.cjs';
    const main = new URL('./node_modules/@aws-sdk/client-s3/dist-cjs/index.js', import.meta.url);
    const read = async () => [fs.readFileSync(main, 'utf8'), fs.readFileSync(main).length, await fs.promises.readFile(main, 'latin1')];
    const before = await read();
    console.log(Object.keys(await import('@aws-sdk/client-s3')).length, length, before, await read());
  `;
  assert.match(same(program, 'program.mjs'), /StorageClass/);
});

test('where the loader has no hooks, it reads no more than names', { skip: !process.version.startsWith('v20.') }, () => {
  const counter = path.join(folder, 'counter.cjs');
  fs.writeFileSync(
    counter,
    `
    const binding = process.binding('fs');
    for (const name of ['readFileUtf8', 'openFileHandle']) {
      const read = binding[name];
      binding[name] = function (file, ...others) {
        if (String(file).endsWith('/client-s3/dist-cjs/index.js')) console.log(name);
        return read.call(this, file, ...others);
      };
    }
  `,
  );
  const [program, options] = ["await import('@aws-sdk/client-s3');", `--require ${counter}`];
  assert.equal(run(program, { name: 'program.mjs', options }), '');
  assert.match(run(program, { name: 'program.mjs', options, isOff: true }), /^openFileHandle\nreadFileUtf8\n/);
});

test('a client, a command and their classes become real where they are', () => {
  same(`
    const sdk = require('@aws-sdk/client-s3');
    const { S3, S3Client, GetObjectCommand, ListBucketsCommand, $Command, Thing$, paginateListObjectsV2 } = sdk;
    const [client, command] = [new S3Client({ region: 'r' }), new GetObjectCommand({ Key: 'x' })];
    class Mine extends S3Client {}
    (async () => {
      console.log(await client.send(new ListBucketsCommand({ a: 1 })), await client.send(command), await new S3({}).listBuckets());
      console.log(client.config, client instanceof S3Client, client.constructor === S3Client, client.destroy(), typeof command.middlewareStack);
      console.log(command instanceof GetObjectCommand, command instanceof $Command, new Mine() instanceof S3Client, client instanceof Mine);
      console.log(GetObjectCommand.getEndpointParameterInstructions(), Thing$.length, Array.isArray(Thing$), paginateListObjectsV2('x'), globalThis.loaded);
      console.log(require('@aws-sdk/client-s3') === sdk, sdk.S3Client === S3Client, Object.keys(sdk).sort().join());
    })();
  `);
});

test('modules are found as they are without the shim', () => {
  same(`
    for (const name of ['@aws-sdk/client-nothing', './absent', '@aws-sdk/client-s3/absent']) {
      try { require(name); } catch (error) { console.log(error.code, error.message, error.requireStack); }
    }
    console.log(require.resolve('@aws-sdk/client-s3'), process.execArgv, require('@aws-sdk/client-s3').NoSuchThing);
    console.log(require('node:module')._resolveFilename.name, Object.keys(require('node:module')._extensions));
  `);
  same("import('@aws-sdk/client-nothing').catch((error) => console.log(error.code, error.message));", 'program.mjs');
});

test('a program sees none of the files of the shim, and may clear what Node has loaded', () => {
  const program = `
    const { S3Client } = require('@aws-sdk/client-s3');
    const shown = Object.keys(require.cache).filter((file) => file.includes('/sdk/node/lib/'));
    Object.keys(require.cache).forEach((file) => delete require.cache[file]);
    console.log(shown, require('@aws-sdk/client-s3').S3Client === S3Client, globalThis.loaded);
  `;
  assert.equal(run(program), '[] true undefined\n');
});

test('who takes `require` over sees the real package', () => {
  const program = `
    const Module = require('node:module');
    const original = Module.prototype.require;
    Module.prototype.require = function (...args) { return original.apply(this, args); };
    require('@aws-sdk/client-s3');
    console.log(globalThis.loaded);
  `;
  assert.equal(run(program), '1\n');
});
