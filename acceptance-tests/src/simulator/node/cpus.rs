//! The CPU models that a node offers.

use serde_json::{Value as Json, json};

use crate::simulator::call::Call;

const AMD: &str = "EPYC EPYC-Genoa EPYC-Genoa-v2 EPYC-IBPB EPYC-Milan EPYC-Milan-v2 EPYC-Milan-v3 \
     EPYC-Rome EPYC-Rome-v2 EPYC-Rome-v3 EPYC-Rome-v4 EPYC-Rome-v5 EPYC-Turin EPYC-v3 EPYC-v4 \
     EPYC-v5 Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5 athlon phenom";

const INTEL: &str = "486 Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS \
     Cascadelake-Server Cascadelake-Server-noTSX Cascadelake-Server-v2 Cascadelake-Server-v4 \
     Cascadelake-Server-v5 ClearwaterForest Conroe Cooperlake Cooperlake-v2 GraniteRapids \
     GraniteRapids-v2 GraniteRapids-v3 Haswell Haswell-IBRS Haswell-noTSX Haswell-noTSX-IBRS \
     Icelake-Client Icelake-Client-noTSX Icelake-Server Icelake-Server-noTSX Icelake-Server-v3 \
     Icelake-Server-v4 Icelake-Server-v5 Icelake-Server-v6 Icelake-Server-v7 IvyBridge \
     IvyBridge-IBRS KnightsMill Nehalem Nehalem-IBRS Penryn SandyBridge SandyBridge-IBRS \
     SapphireRapids SapphireRapids-v2 SapphireRapids-v3 SapphireRapids-v4 SierraForest \
     SierraForest-v2 SierraForest-v3 Skylake-Client Skylake-Client-IBRS Skylake-Client-noTSX-IBRS \
     Skylake-Client-v4 Skylake-Server Skylake-Server-IBRS Skylake-Server-noTSX-IBRS \
     Skylake-Server-v4 Skylake-Server-v5 Westmere Westmere-IBRS core2duo coreduo pentium pentium2 \
     pentium3";

const OTHERS: &str =
    "host kvm32 kvm64 max qemu32 qemu64 x86-64-v2 x86-64-v2-AES x86-64-v3 x86-64-v4";

/// Whether a model of that name is built in.
pub(crate) fn is_known(name: &str) -> bool {
    let mut all = [AMD, INTEL, OTHERS]
        .into_iter()
        .flat_map(str::split_whitespace);
    all.any(|known| known == name)
}

pub(super) fn list(_: &Call) -> Json {
    let models = [
        ("AuthenticAMD", AMD),
        ("GenuineIntel", INTEL),
        ("default", OTHERS),
    ];
    let entries = models.into_iter().flat_map(|(vendor, names)| {
        names.split_whitespace().map(move |name| {
            let mut entry = json!({"name": name, "vendor": vendor, "custom": 0});
            // Levels of the architecture are no models of anybody.
            if name.starts_with("x86-64-") {
                entry["abstract"] = json!(1);
            }
            entry
        })
    });
    entries.collect()
}
