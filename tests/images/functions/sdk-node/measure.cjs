// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Makes calls whose cost somebody else looks at: in a guest as a function, outside as a program that also tells its own share.
 *
 *     measure.cjs start bare|import|client|first [PID]    what it takes to get that far
 *     measure.cjs get|put SIZE COUNT [PID]                calls after some to warm up
 *
 * PID is the backend's, whose processor time is told beside this process's. `WARM_UP` in the environment is how many small calls come first.
 */

const fs = require('node:fs');

const BUCKET = 'measured';
/**
 * Calls before those that count: small ones until V8 has compiled what they need, others until a connection stands.
 * @param {number} size
 */
function warmUp(size) {
  return size < 65_536 ? Number(process.env['WARM_UP'] ?? 600) : 3;
}

/**
 * A client as programs make it, or one that goes to the service's own name by TLS.
 * @param {boolean} [isTls]
 */
function client(isTls) {
  const { S3Client } = require('@aws-sdk/client-s3');
  const endpoint = 'https://s3.us-east-1.amazonaws.com';
  // Hosts named after a bucket are not there.
  return new S3Client({ forcePathStyle: true, ...(isTls && { endpoint }) });
}

/**
 * Gets or puts an object of `size` bytes, `count` times.
 * @param {any} s3
 * @param {string} what
 * @param {number} size
 * @param {number} count
 */
async function calls(s3, what, size, count) {
  const { GetObjectCommand, PutObjectCommand } = require('@aws-sdk/client-s3');
  const body = what === 'put' ? Buffer.alloc(size) : undefined;
  for (let made = 0; made < count; made += 1) {
    if (what === 'put') {
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `put-${size}`, Body: body }));
      continue;
    }
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: `get-${size}` }));
    const { length } = await Body.transformToByteArray();
    if (length !== size) {
      throw new Error(String(length));
    }
  }
}

/** @type {Map<boolean, any>} */
const clients = new Map();

/**
 * The calls that an event asks for.
 * @param {{ what: string, size: number, count: number, tls: boolean }} event
 */
async function handler({ what, size, count, tls }) {
  const s3 = clients.get(tls) ?? client(tls);
  clients.set(tls, s3);
  await calls(s3, what, size, count);
  return null;
}

/**
 * Goes as far as `stage`.
 * @param {string} stage
 */
async function start(stage) {
  if (stage === 'import') {
    require('@aws-sdk/client-s3');
  } else if (stage === 'client') {
    client();
  } else if (stage === 'first') {
    await calls(client(), 'get', 1024, 1);
  }
}

/**
 * Memory of a kind: `Private_Dirty` was written to. Clean pages of files would be of whoever is the only one to run them.
 * @param {string} kind
 */
function memoryKib(kind) {
  const lines = fs.readFileSync('/proc/self/smaps_rollup', 'utf8').split('\n');
  const kib = lines.filter((line) => line.startsWith(`${kind}:`)).map((line) => Number(line.split(/\s+/)[1]));
  return kib.reduce((sum, one) => sum + one, 0);
}

/**
 * Memory that one more call reads or writes.
 * @param {any} s3
 * @param {string} what
 * @param {number} size
 */
async function touchedKib(s3, what, size) {
  // Proc, clear_refs: pages are marked from now on when they are used.
  fs.writeFileSync('/proc/self/clear_refs', '1');
  await calls(s3, what, size, 1);
  return memoryKib('Referenced');
}

/**
 * Processor time of all threads of a process.
 * @param {string | undefined} pid
 */
function backendNs(pid) {
  if (pid === undefined) {
    return 0;
  }
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  const times = threads.map((thread) => Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]));
  return times.reduce((sum, one) => sum + one, 0);
}

/** Processor time of this process. */
function cpuNs() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/**
 * Measures and tells.
 * @param {string} what
 * @param {string[]} args
 */
async function main(what, ...args) {
  const pid = args[what === 'start' ? 1 : 2];
  const spent = (/** @type {number} */ cpu, /** @type {number} */ backend) => ({
    cpu_ns: cpuNs() - cpu,
    backend_ns: backendNs(pid) - backend,
  });
  let figures;
  if (what === 'start') {
    const backend = backendNs(pid);
    await start(String(args[0]));
    figures = { ...spent(0, backend), memory_kib: memoryKib('Private_Dirty') };
  } else {
    const [size, count] = [Number(args[0]), Number(args[1])];
    const s3 = client();
    await calls(s3, what, size, warmUp(size));
    const [cpu, backend] = [cpuNs(), backendNs(pid)];
    await calls(s3, what, size, count);
    figures = { ...spent(cpu, backend), memory_kib: await touchedKib(s3, what, size) };
  }
  process.stdout.write(JSON.stringify(figures));
}

if (require.main === module) {
  const [what, ...args] = process.argv.slice(2);
  main(String(what), ...args);
}

module.exports = { handler };
