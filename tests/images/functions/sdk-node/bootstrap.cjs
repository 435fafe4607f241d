// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * The runtime of this image: asks for events and answers them, by AWS Lambda's runtime API. The stock client of Node needs a compiler
 * to be installed.
 */

const http = require('node:http');
const path = require('node:path');

const [host, port] = /** @type {string} */ (process.env['AWS_LAMBDA_RUNTIME_API']).split(':');
const [file, name] = /** @type {[string, string]} */ (/** @type {string} */ (process.env['_HANDLER']).split('.'));
const { [name]: handler } = require(path.join(/** @type {string} */ (process.env['LAMBDA_TASK_ROOT']), `${file}.cjs`));

/**
 * A request to the runtime API.
 * @param {string} method
 * @param {string} what
 * @param {unknown} [body]
 * @returns {Promise<{ headers: import('node:http').IncomingHttpHeaders, text: string }>}
 */
function ask(method, what, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path: `/2018-06-01/runtime/${what}` }, (answer) => {
      /** @type {Buffer[]} */
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => resolve({ headers: answer.headers, text: Buffer.concat(pieces).toString() }));
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function main() {
  for (;;) {
    const { headers, text } = await ask('GET', 'invocation/next');
    const id = headers['lambda-runtime-aws-request-id'];
    try {
      await ask('POST', `invocation/${id}/response`, await handler(JSON.parse(text)));
    } catch (error) {
      const { name: errorType, message: errorMessage } = /** @type {Error} */ (error);
      await ask('POST', `invocation/${id}/error`, { errorType, errorMessage });
    }
  }
}

main();
