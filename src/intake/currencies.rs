//! Codes of currencies, ISO 4217.

/// Money in use.
const IN_USE: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF \
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD \
    IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR \
    MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC \
    SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";
/// Funds, metals, units of account, and money of the past since 1990, which old files are in.
const OTHERS: &str = "BOV CHE CHW CLF COU MXV USN UYI UYW XAD XAG XAU XBA XBB XBC XBD XCG XDR XPD XPT XSU XTS XUA XXX \
    ADP AFA ALK ANG AOK AON AOR ATS AYM AZM BEF BGL BRC BRE BRN BRR BYB BYR CSD CSK CUC CYP DDM DEM ECS ECV EEK ESP FIM FRF GEK GHC GRD \
    GWP HRD HRK IEP ITL LTL LTT LUF LVL LVR MGF MLF MRO MTL MXP MZM NIC NLG PEI PES PLZ PTE ROL RUR SDD SDP SIT SKK SLL SRG STD SUR TJR \
    TMM TPE TRL UAK USS UYN VEB VEF VED XEU XFO XFU YDD YUM YUN ZAL ZMK ZRN ZRZ ZWC ZWD ZWL ZWN ZWR";

/// Returns whether it is the code of money that is in use.
pub fn is_in_use(code: &str) -> bool {
    IN_USE.split_ascii_whitespace().any(|known| known == code)
}

/// Returns whether it is a code at all.
pub fn is_known(code: &str) -> bool {
    is_in_use(code) || OTHERS.split_ascii_whitespace().any(|known| known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_in_use_and_of_the_past_are_known_and_others_are_not() {
        assert!(is_in_use("EUR") && is_known("EUR") && is_known("DEM") && is_known("XTS"));
        assert!(
            !is_in_use("DEM") && !is_known("XYZ") && !is_known("PCS") && !is_known("eur") && !is_known("")
        );
    }
}
