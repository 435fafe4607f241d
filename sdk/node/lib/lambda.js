// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What the shim knows of Lambda: how to invoke a function. */

/** @type {import('./types').Service} */
module.exports = {
  signing: 'lambda',
  client: 'LambdaClient',
  aggregate: 'Lambda',
  base: 'LambdaServiceException',
  errors: ['LambdaServiceException'],
  refusals: {
    InvalidParameterValueException: { Type: 'string' },
    InvalidRequestContentException: { Type: 'string' },
    ResourceNotFoundException: { Type: 'string' },
  },
  commands: { InvokeCommand: { name: 'Invoke', method: 'POST' } },
  get protocol() {
    return require('./invoke.js');
  },
};
