// The router of msgflo-nodejs, which the coordinator of npm's msgflo carries MQTT bindings with: node router.js URL SOURCE TARGET
'use strict';
const msgflo = require('msgflo-nodejs');

const [url, src, tgt] = process.argv.slice(2);
const broker = msgflo.transport.getBroker(url);
const must = (error) => { if (error) throw error; };
broker.connect((error) => {
  must(error);
  broker.addBinding({ type: 'pubsub', src, tgt }, (failed) => {
    must(failed);
    console.log('ready');
  });
});
