package gsm

// Decode reads octets by SMPP's data_coding (SMPP 3.4 §5.2.19) and tells which encoding that was. Values of the groups 1
// and F are TS 23.038 §4's, as practice sends them. What is no text is Data, and its text is empty.
func Decode(dataCoding byte, octets []byte) (text, encoding string) {
	switch alphabetOf(dataCoding) {
	case GSM7:
		return DecodeGSM7(octets), GSM7
	case UCS2:
		return DecodeUCS2(octets), UCS2
	}
	if dataCoding == 0x01 || dataCoding == 0x03 { // IA5, a part of Latin 1
		latin := make([]rune, len(octets))
		for i, o := range octets {
			latin[i] = rune(o)
		}
		return string(latin), Latin1
	}
	return "", Data
}

// alphabetOf is the alphabet that a data coding names, "" if it is neither of ours.
func alphabetOf(dataCoding byte) string {
	switch {
	case dataCoding == 0x00, dataCoding>>4 == 0x1 && dataCoding&0x0C == 0, dataCoding>>4 == 0xF && dataCoding&0x04 == 0:
		return GSM7
	case dataCoding == 0x08, dataCoding>>4 == 0x1 && dataCoding&0x0C == 0x08:
		return UCS2
	}
	return ""
}

// Class0 reports whether a data coding shows the text at once and stores nothing: groups 00x1 and 1111 with message
// class 0 (TS 23.038 §4).
func Class0(dataCoding byte) bool {
	return (dataCoding>>4 == 0x1 || dataCoding>>4 == 0xF) && dataCoding&0x03 == 0
}

// Codes reports whether a text of encoding may be sent with this data coding.
func Codes(dataCoding byte, encoding string) bool { return alphabetOf(dataCoding) == encoding }
