# An SMSC made of Perl's Net::SMPP: it prints its port, then one line of JSON for each message that it is sent, and ends when its
# one ESME unbinds.
use strict;
use warnings;
use JSON::PP;
use Net::SMPP;

$| = 1;
my $listener = Net::SMPP->new_listen('127.0.0.1', smpp_version => 0x34, interface_version => 0x34, port => 0, timeout => 60)
    or die "no listener: $!";
print $listener->sockport, "\n";
my $esme = $listener->accept or die "nobody came: $!";
$esme->set_version(0x34);
my $json = JSON::PP->new->canonical;
my $id   = 700;
while (my $pdu = $esme->read_pdu) {
    my %answer = (seq => $pdu->{seq}, async => 1);
    if ($pdu->{cmd} == Net::SMPP::CMD_bind_transceiver) {
        $esme->bind_transceiver_resp(%answer, system_id => 'perl', status => $pdu->{password} eq 'secret' ? 0 : 0x0E);
    } elsif ($pdu->{cmd} == Net::SMPP::CMD_submit_sm) {
        my %facts = map { $_ => $pdu->{$_} }
            qw(source_addr destination_addr dest_addr_ton dest_addr_npi data_coding service_type esm_class registered_delivery);
        my %tlvs = map { sprintf('%04x', $_) => unpack('H*', $pdu->{$_}) } grep { /^\d+$/ } keys %$pdu;
        print $json->encode({ %facts, octets => unpack('H*', $pdu->{short_message}), tlvs => \%tlvs }), "\n";
        $esme->submit_sm_resp(%answer, message_id => $id++);
    } elsif ($pdu->{cmd} == Net::SMPP::CMD_enquire_link) {
        $esme->enquire_link_resp(%answer);
    } elsif ($pdu->{cmd} == Net::SMPP::CMD_unbind) {
        $esme->unbind_resp(%answer);
        last;
    }
}
