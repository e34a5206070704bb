package gsm

// Decode reads octets of a short message by SMPP's data_coding (SMPP 3.4 §5.2.19) and tells which encoding that was. Values
// of 0x10 and above are TS 23.038 §4's, as practice sends them. What is no text, or compressed, is Data, and its text is
// empty. A USSD string needs DecodeUSSD: the two codings contradict each other.
func Decode(dataCoding byte, octets []byte) (text, encoding string) {
	if dataCoding == 0x01 || dataCoding == 0x03 { // IA5, a part of Latin 1
		latin := make([]rune, len(octets))
		for i, o := range octets {
			latin[i] = rune(o)
		}
		return string(latin), Latin1
	}
	return decode(alphabetOf(dataCoding), octets)
}

// DecodeUSSD reads octets of a USSD string by its data coding scheme (TS 23.038 §5), which is CBS's: 0x01 is English and
// 0x10 a language of the text's own, both in the default alphabet, where SMS has IA5 and message class 0.
func DecodeUSSD(dataCoding byte, octets []byte) (text, encoding string) {
	return decode(alphabetOfUSSD(dataCoding), octets)
}

func decode(alphabet string, octets []byte) (text, encoding string) {
	switch alphabet {
	case GSM7:
		return DecodeGSM7(octets), GSM7
	case UCS2:
		return DecodeUCS2(octets), UCS2
	}
	return "", Data
}

// alphabetOf is the alphabet that a short message's data coding names, "" if it is neither of ours.
func alphabetOf(dataCoding byte) string {
	switch group := dataCoding >> 4; {
	case dataCoding == 0x00, dataCoding == 0x0F: // 0x0F is USSD's, and reserved here: some gateways send it with anything
		return GSM7
	case dataCoding == 0x08:
		return UCS2
	case group == 0x1, group == 0x4, group == 0x5: // general, uncompressed; 0x4 and 0x5 are deleted once read
		return general(dataCoding)
	case group == 0xC, group == 0xD, group == 0xF && dataCoding&0x04 == 0: // message waiting; message class
		return GSM7
	case group == 0xE: // message waiting
		return UCS2
	}
	return ""
}

// alphabetOfUSSD is the alphabet that a USSD string's data coding names.
// Deviation: 0x08 is UCS2, for gateways that have only SMPP's codings; TS 23.038 §5 has Portuguese in the default
// alphabet there.
func alphabetOfUSSD(dataCoding byte) string {
	switch group := dataCoding >> 4; {
	case dataCoding == 0x08:
		return UCS2
	case dataCoding == 0x11: // UCS2 after two octets of language, which DecodeUSSD would have to skip
		return ""
	case group <= 0x3: // languages
		return GSM7
	case group == 0x4, group == 0x5: // general, uncompressed
		return general(dataCoding)
	case group == 0xF && dataCoding&0x04 == 0: // message class
		return GSM7
	}
	return ""
}

// general reads the bits of the character set that both schemes' general groups have.
func general(dataCoding byte) string {
	switch dataCoding & 0x0C {
	case 0x00:
		return GSM7
	case 0x08:
		return UCS2
	}
	return ""
}

// Class0 reports whether a short message's data coding shows the text at once and stores nothing: general groups with a
// class (0xx1), and 1111, with message class 0 (TS 23.038 §4).
func Class0(dataCoding byte) bool {
	return dataCoding&0x93 == 0x10 || dataCoding&0xF3 == 0xF0
}

// Codes reports whether a short message of encoding may be sent with this data coding.
func Codes(dataCoding byte, encoding string) bool { return alphabetOf(dataCoding) == encoding }

// CodesUSSD reports the same of a USSD string: 0x0F and 0x48, or 0x00 and 0x08 where a gateway wants SMPP's.
func CodesUSSD(dataCoding byte, encoding string) bool { return alphabetOfUSSD(dataCoding) == encoding }
