// An SMSC made of node's smpp package: it prints its port, then one line of JSON for each thing that happens, and ends with
// its standard input. Message ids are decimal in submit_sm_resp, hexadecimal with leading zeros in receipts.
'use strict';
const smpp = require('smpp');

const say = (event, facts) => console.log(JSON.stringify({event, ...facts}));
let id = 0xBEEF;

const server = smpp.createServer((session) => {
  session.on('error', (e) => say('error', {text: String(e)}));
  session.on('bind_transceiver', (pdu) => {
    if (pdu.password !== 'secret') {
      session.send(pdu.response({command_status: smpp.ESME_RINVPASWD}));
      return session.close();
    }
    session.send(pdu.response({system_id: 'node'}));
    say('bound', {from: pdu.system_id, version: pdu.interface_version});
    session.enquire_link({}, () => say('alive', {}));
  });
  session.on('submit_sm', (pdu) => {
    id++;
    say('submitted', {
      to: pdu.destination_addr, ton: pdu.dest_addr_ton, npi: pdu.dest_addr_npi, from: pdu.source_addr,
      data_coding: pdu.data_coding, text: pdu.short_message.message, registered: pdu.registered_delivery,
    });
    session.send(pdu.response({message_id: String(id)}));
    session.deliver_sm({
      source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
      short_message: `id:0000${id.toString(16).toUpperCase()} sub:001 dlvrd:001 submit date:2411230428 done date:2411230428 stat:DELIVRD err:000 text:`,
    }, (answer) => say('receipted', {status: answer.command_status}));
  });
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
    say('unbound', {});
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit(0));
