//! Pictures of things one wears, carries, reads or listens to. `$m` is the item's colour, `$d` and `$l` its dark and light
//! shades, `$a` an accent, `$t` what shows on the colour, `$g` the ground; `0|`…`2|` start lines of one variation.

/// Names of the motifs here.
#[cfg(test)]
pub const NAMES: [&str; 20] = [
    "watch",
    "strap",
    "sneaker",
    "boot",
    "tin",
    "socks",
    "backpack",
    "tote",
    "suitcase",
    "wallet",
    "headphones",
    "speaker",
    "turntable",
    "pouch",
    "notebook",
    "pen",
    "ink",
    "tent",
    "sleeping-bag",
    "lantern",
];

/// The template of a motif.
pub fn find(motif: &str) -> Option<&'static str> {
    Some(match motif {
        "watch" => WATCH,
        "strap" => STRAP,
        "sneaker" => SNEAKER,
        "boot" => BOOT,
        "tin" => TIN,
        "socks" => SOCKS,
        "backpack" => BACKPACK,
        "tote" => TOTE,
        "suitcase" => SUITCASE,
        "wallet" => WALLET,
        "headphones" => HEADPHONES,
        "speaker" => SPEAKER,
        "turntable" => TURNTABLE,
        "pouch" => POUCH,
        "notebook" => NOTEBOOK,
        "pen" => PEN,
        "ink" => INK,
        "tent" => TENT,
        "sleeping-bag" => SLEEPING_BAG,
        "lantern" => LANTERN,
        _ => return None,
    })
}

const WATCH: &str = r##"
0|<rect x="82" y="14" width="36" height="172" rx="9" fill="#7d5236"/><path d="M88 26V62M112 26V62M88 138V174M112 138V174" stroke="#e7cfae" stroke-width="1.6" stroke-dasharray="4 4"/>
1|<rect x="81" y="14" width="38" height="172" rx="7" fill="#aab1bc"/><path d="M81 28H119M81 42H119M81 56H119M81 144H119M81 158H119M81 172H119" stroke="#858d99" stroke-width="3"/><path d="M94 14V186M106 14V186" stroke="#c9cfd7" stroke-width="2"/>
2|<rect x="82" y="14" width="36" height="172" rx="9" fill="#2b2d33"/><path d="M92 22V60M100 22V60M108 22V60M92 140V178M100 140V178M108 140V178" stroke="#42454e" stroke-width="3"/>
<rect x="144" y="93" width="13" height="14" rx="4" fill="#a5acb7"/>
<circle cx="100" cy="100" r="49" fill="#ccd2da"/><circle cx="100" cy="100" r="49" fill="none" stroke="#a5acb7" stroke-width="3"/>
0|<circle cx="100" cy="100" r="43" fill="$d"/><circle cx="100" cy="100" r="39.5" fill="none" stroke="#f7f5f0" stroke-width="2.5" stroke-dasharray="1.2 9.14" opacity=".8"/>
2|<circle cx="100" cy="100" r="43" fill="#2b2d33"/>
<circle cx="100" cy="100" r="36" fill="$m"/>
<path d="M64 100a36 36 0 0 1 72 0z" fill="#fff" opacity=".07"/>
<circle cx="100" cy="100" r="29" fill="none" stroke="$t" stroke-width="7" stroke-dasharray="2.4 12.78" stroke-linecap="butt" transform="rotate(-2.4 100 100)"/>
1|<circle cx="100" cy="117" r="8" fill="none" stroke="$t" stroke-width="1.6"/><path d="M100 117V112" stroke="$t" stroke-width="1.6"/>
<path d="M100 100L88 82M100 100L121 88" stroke="$t" stroke-width="4.5"/>
<path d="M96 108L108 72" stroke="$a" stroke-width="1.8"/><circle cx="100" cy="100" r="3.6" fill="$t"/>
"##;

const STRAP: &str = r##"
<g transform="rotate(14 100 100)"><rect x="62" y="34" width="32" height="140" rx="14" fill="$m"/><rect x="62" y="34" width="32" height="14" rx="5" fill="$d"/>
<g fill="$g"><circle cx="78" cy="160" r="3"/><circle cx="78" cy="148" r="3"/><circle cx="78" cy="136" r="3"/><circle cx="78" cy="124" r="3"/></g>
0|<path d="M67 54V158M89 54V158" stroke="$l" stroke-width="1.8" stroke-dasharray="5 4"/>
1|<path d="M72 54V116M78 54V116M84 54V116" stroke="$d" stroke-width="2.4"/>
2|<path d="M62 60H94M62 72H94" stroke="$l" stroke-width="4"/>
<rect x="108" y="34" width="32" height="98" rx="5" fill="$m"/><rect x="108" y="34" width="32" height="14" rx="5" fill="$d"/><rect x="105" y="104" width="38" height="9" rx="3" fill="$d"/>
0|<path d="M113 54V100M135 54V100" stroke="$l" stroke-width="1.8" stroke-dasharray="5 4"/>
1|<path d="M118 54V100M124 54V100M130 54V100" stroke="$d" stroke-width="2.4"/>
2|<path d="M108 60H140M108 72H140" stroke="$l" stroke-width="4"/>
<rect x="104" y="126" width="40" height="30" rx="7" fill="none" stroke="#b4bbc6" stroke-width="6"/><path d="M124 128V152" stroke="#98a0ac" stroke-width="4"/></g>
"##;

const SNEAKER: &str = r##"
<ellipse cx="100" cy="152" rx="76" ry="7" fill="#000" opacity=".12"/>
<path d="M34 130C32 104 38 84 44 70c10 8 26 8 36 0l12 4c14 26 34 38 60 42 14 2 20 10 20 22z" fill="$m"/>
<path d="M34 130C32 104 38 84 44 70c6 5 14 7 22 6 2 22-6 40-16 54z" fill="$d"/>
<path d="M92 74l-10 18M104 90l-12 15M117 101l-12 15" stroke="$t" stroke-width="4.5"/>
0|<path d="M58 128c24 2 48-6 66-22" fill="none" stroke="$a" stroke-width="7"/>
1|<path d="M74 130l14-28M90 130l12-24M106 130l10-20" stroke="$a" stroke-width="6"/>
2|<circle cx="60" cy="98" r="9" fill="$a"/>
<path d="M146 115c18 2 26 8 26 23h-34c0-10 2-18 8-23z" fill="$l"/>
<path d="M30 130h144v9c0 7-4 11-11 11H42c-8 0-12-5-12-12z" fill="#fbfaf6"/><path d="M30 139h144" stroke="#d9d5cb" stroke-width="2.5"/>
"##;

const BOOT: &str = r##"
<ellipse cx="102" cy="166" rx="68" ry="7" fill="#000" opacity=".12"/>
<path d="M56 36h54l2 58c10 16 34 18 48 26 8 5 9 14 9 26H52c-4-38 2-74 4-110z" fill="$m"/>
<path d="M56 36h22c2 40-2 78-6 110H52c-4-38 2-74 4-110z" fill="$d" opacity=".6"/>
0|<path d="M96 56l15 4M96 72l15 4M97 88l16 5M104 102l14-2" stroke="$a" stroke-width="4.5"/>
1|<path d="M78 44h20l-4 52-16-2z" fill="$d"/>
2|<path d="M96 54l15 4M96 70l15 4M97 86l16 5M104 100l14-2" stroke="$l" stroke-width="4.5"/><path d="M54 44h57" stroke="$l" stroke-width="7"/>
<path d="M140 118c18 4 29 8 29 28h-34c0-12 1-20 5-28z" fill="$d" opacity=".55"/>
<path d="M48 144h124v12h-16l-2 7H52c-4 0-6-4-6-8z" fill="#3a2f2a"/><path d="M96 156h18v8H96z" fill="$g"/>
"##;

const TIN: &str = r##"
<ellipse cx="100" cy="150" rx="62" ry="8" fill="#000" opacity=".12"/>
<path d="M42 92v42c0 10 26 18 58 18s58-8 58-18V92z" fill="$d"/>
<path d="M42 106v16c0 10 26 18 58 18s58-8 58-18v-16z" fill="$l" opacity=".35"/>
<ellipse cx="100" cy="90" rx="60" ry="24" fill="$m"/><ellipse cx="100" cy="88" rx="50" ry="18" fill="none" stroke="$a" stroke-width="3"/>
0|<path d="M76 88h48M86 96h28M86 80h28" stroke="$t" stroke-width="4"/>
1|<path d="M100 76c-10 6-10 18 0 24 10-6 10-18 0-24z" fill="$t"/>
2|<ellipse cx="100" cy="88" rx="26" ry="9" fill="$t"/><path d="M88 88h24" stroke="$m" stroke-width="3"/>
"##;

const SOCKS: &str = r##"
<g transform="translate(16 6)" fill="$d"><path d="M78 30h40v70c0 10 6 14 14 20 12 8 18 20 10 30-8 11-22 10-34 2L84 134c-6-5-6-10-6-18z"/></g>
<path d="M58 34h40v70c0 10 6 14 14 20 12 8 18 20 10 30-8 11-22 10-34 2L64 138c-6-5-6-10-6-18z" fill="$m"/>
<path d="M58 34h40v16H58z" fill="$a"/>
0|<path d="M58 62h40M58 76h40M58 90h40" stroke="$l" stroke-width="5" stroke-linecap="butt"/>
1|<g fill="$t" opacity=".8"><circle cx="70" cy="64" r="3.5"/><circle cx="87" cy="72" r="3.5"/><circle cx="71" cy="84" r="3.5"/><circle cx="88" cy="94" r="3.5"/><circle cx="73" cy="106" r="3.5"/></g>
2|<path d="M58 62l10 8 10-8 10 8 10-8M58 78l10 8 10-8 10 8 10-8" fill="none" stroke="$l" stroke-width="3.5"/>
<path d="M122 154c-8 11-22 10-34 2 4-12 14-20 28-22 8 6 12 12 6 20z" fill="$a"/><path d="M58 116c8 2 14 8 14 22-8-4-14-8-14-22z" fill="$d"/>
"##;

const BACKPACK: &str = r##"
<ellipse cx="100" cy="170" rx="54" ry="6" fill="#000" opacity=".12"/>
<path d="M84 40c0-22 32-22 32 0" fill="none" stroke="$d" stroke-width="7"/>
<rect x="40" y="98" width="18" height="52" rx="9" fill="$d"/><rect x="142" y="98" width="18" height="52" rx="9" fill="$d"/>
<path d="M52 76c0-26 18-42 48-42s48 16 48 42v78c0 9-6 15-15 15H67c-9 0-15-6-15-15z" fill="$m"/>
0|<path d="M52 82h96c0 16-8 22-18 22H70c-10 0-18-6-18-22z" fill="$d"/><rect x="92" y="96" width="16" height="16" rx="3" fill="$a"/>
1|<path d="M66 70c2-16 14-24 34-24s32 8 34 24" fill="none" stroke="$d" stroke-width="3"/><rect x="86" y="66" width="28" height="18" rx="3" fill="$a"/>
2|<path d="M70 38v130M130 38v130" stroke="$d" stroke-width="9"/><rect x="86" y="60" width="28" height="20" rx="4" fill="$a"/>
<rect x="66" y="114" width="68" height="42" rx="9" fill="$l"/><path d="M72 126h56" stroke="$d" stroke-width="3"/><path d="M112 126v8" stroke="$a" stroke-width="4"/>
"##;

const TOTE: &str = r##"
<ellipse cx="100" cy="170" rx="58" ry="6" fill="#000" opacity=".12"/>
<path d="M72 82C68 14 132 14 128 82" fill="none" stroke="$d" stroke-width="7"/>
<path d="M48 72h104l10 88c1 6-3 10-9 10H47c-6 0-10-4-9-10z" fill="$m"/><path d="M48 72h104l2 14H46z" fill="$d" opacity=".5"/>
0|<circle cx="100" cy="124" r="22" fill="$a"/><path d="M84 130a16 16 0 0 1 32 0z" fill="$m"/>
1|<path d="M40 140h120l2 20c1 6-3 10-9 10H47c-6 0-10-4-9-10z" fill="$d"/>
2|<path d="M78 112h44M78 124h44M78 136h28" stroke="$t" stroke-width="5"/>
<circle cx="72" cy="82" r="4" fill="$a"/><circle cx="128" cy="82" r="4" fill="$a"/>
"##;

const SUITCASE: &str = r##"
<ellipse cx="100" cy="178" rx="52" ry="5" fill="#000" opacity=".12"/>
<path d="M80 56V24h40v32" fill="none" stroke="#6b7280" stroke-width="6"/><rect x="76" y="18" width="48" height="11" rx="5" fill="#3a3f4a"/>
<circle cx="68" cy="170" r="7" fill="#3a3f4a"/><circle cx="132" cy="170" r="7" fill="#3a3f4a"/>
<rect x="50" y="50" width="100" height="118" rx="15" fill="$m"/><path d="M135 50c9 0 15 6 15 15v88c0 9-6 15-15 15h-8V50z" fill="$d" opacity=".55"/>
0|<path d="M68 64v90M84 64v90M100 64v90M116 64v90" stroke="$d" stroke-width="4"/>
1|<path d="M50 82h100M50 136h100" stroke="$d" stroke-width="6" stroke-linecap="butt"/>
2|<path d="M62 66h76v86H62z" fill="none" stroke="$l" stroke-width="4"/>
<rect x="86" y="56" width="28" height="8" rx="4" fill="$d"/><rect x="112" y="126" width="26" height="16" rx="4" fill="$a"/>
"##;

const WALLET: &str = r##"
<ellipse cx="100" cy="152" rx="64" ry="6" fill="#000" opacity=".12"/>
<rect x="60" y="44" width="74" height="50" rx="5" fill="$a"/><rect x="52" y="56" width="92" height="50" rx="5" fill="#f7f5f0"/><path d="M60 68h36" stroke="#b9c0ca" stroke-width="4"/>
<rect x="36" y="70" width="128" height="82" rx="11" fill="$m"/><path d="M36 96V81c0-6 5-11 11-11h106c6 0 11 5 11 11v15z" fill="$d" opacity=".55"/>
0|<path d="M44 78h112v66H44z" fill="none" stroke="$l" stroke-width="2" stroke-dasharray="5 4"/>
1|<path d="M130 102h34v24h-34c-16 0-16-24 0-24z" fill="$d"/><circle cx="134" cy="114" r="5" fill="$a"/>
2|<path d="M120 70v82" stroke="$d" stroke-width="12" stroke-linecap="butt"/>
"##;

const HEADPHONES: &str = r##"
<path d="M46 118V98c0-72 108-72 108 0v20" fill="none" stroke="$d" stroke-width="11"/><path d="M62 62c18-26 58-26 76 0" fill="none" stroke="$m" stroke-width="13"/>
<rect x="32" y="102" width="38" height="62" rx="17" fill="$m"/><rect x="130" y="102" width="38" height="62" rx="17" fill="$m"/>
<rect x="62" y="106" width="14" height="54" rx="7" fill="#33363d"/><rect x="124" y="106" width="14" height="54" rx="7" fill="#33363d"/>
0|<circle cx="45" cy="133" r="8" fill="$a"/><circle cx="155" cy="133" r="8" fill="$a"/>
1|<path d="M44 116v34M156 116v34" stroke="$l" stroke-width="6"/>
2|<circle cx="46" cy="133" r="10" fill="none" stroke="$a" stroke-width="4"/><circle cx="154" cy="133" r="10" fill="none" stroke="$a" stroke-width="4"/><path d="M52 164c0 16 12 20 24 20" fill="none" stroke="#33363d" stroke-width="4"/>
"##;

const SPEAKER: &str = r##"
<ellipse cx="100" cy="172" rx="50" ry="6" fill="#000" opacity=".12"/>
0|<rect x="54" y="28" width="92" height="142" rx="14" fill="$m"/><circle cx="100" cy="66" r="18" fill="$d"/><circle cx="100" cy="66" r="8" fill="$a"/><circle cx="100" cy="122" r="34" fill="$d"/><circle cx="100" cy="122" r="25" fill="#2b2d33"/><circle cx="100" cy="122" r="10" fill="$a"/>
1|<rect x="28" y="66" width="144" height="102" rx="22" fill="$m"/><rect x="40" y="78" width="120" height="78" rx="14" fill="$d"/><circle cx="72" cy="117" r="26" fill="#2b2d33"/><circle cx="128" cy="117" r="26" fill="#2b2d33"/><circle cx="72" cy="117" r="9" fill="$a"/><circle cx="128" cy="117" r="9" fill="$a"/><path d="M70 66c0-22 60-22 60 0" fill="none" stroke="$d" stroke-width="7"/>
2|<path d="M60 50c0-28 80-28 80 0v100c0 28-80 28-80 0z" fill="$m"/><path d="M70 62v88M80 66v92M90 68v94M100 68v94M110 68v94M120 66v92M130 62v88" stroke="$d" stroke-width="3"/><ellipse cx="100" cy="48" rx="34" ry="12" fill="$l"/><path d="M88 48h24M100 42v12" stroke="$d" stroke-width="4"/>
"##;

const TURNTABLE: &str = r##"
<ellipse cx="100" cy="162" rx="78" ry="6" fill="#000" opacity=".12"/>
<rect x="24" y="48" width="152" height="104" rx="10" fill="$m"/><path d="M24 136h152v6c0 6-4 10-10 10H34c-6 0-10-4-10-10z" fill="$d"/><path d="M42 152h16v8H42zM142 152h16v8h-16z" fill="#2b2d33"/>
<circle cx="84" cy="92" r="42" fill="#26282e"/><circle cx="84" cy="92" r="33" fill="none" stroke="#3c3f47" stroke-width="2"/><circle cx="84" cy="92" r="25" fill="none" stroke="#3c3f47" stroke-width="2"/><circle cx="84" cy="92" r="15" fill="$a"/><circle cx="84" cy="92" r="3" fill="$g"/>
<circle cx="152" cy="66" r="9" fill="#cdd3db"/><path d="M152 66v40l-24 16" fill="none" stroke="#cdd3db" stroke-width="5"/><path d="M132 116l-11 12" stroke="#2b2d33" stroke-width="7"/>
0|<circle cx="156" cy="124" r="6" fill="$a"/>
1|<path d="M146 124h18" stroke="$t" stroke-width="5"/>
2|<circle cx="150" cy="124" r="4" fill="$t"/><circle cx="163" cy="124" r="4" fill="$a"/>
"##;

const POUCH: &str = r##"
<ellipse cx="100" cy="160" rx="62" ry="6" fill="#000" opacity=".12"/>
<path d="M154 84c24 2 24 40 6 44" fill="none" stroke="$d" stroke-width="6"/>
<rect x="36" y="54" width="122" height="104" rx="32" fill="$m"/><path d="M36 100h122v26c0 18-14 32-32 32H68c-18 0-32-14-32-32z" fill="$d" opacity=".5"/>
<path d="M36 98h122" stroke="#2b2d33" stroke-width="4" stroke-dasharray="5 3" stroke-linecap="butt"/><path d="M120 98v16" stroke="$a" stroke-width="6"/>
0|<circle cx="76" cy="78" r="9" fill="$a"/>
1|<path d="M64 76h46" stroke="$l" stroke-width="6"/>
2|<path d="M62 70h70M62 82h40" stroke="$l" stroke-width="4"/>
"##;

const NOTEBOOK: &str = r##"
<path d="M58 34h92c5 0 8 3 8 8v120c0 5-3 8-8 8H58z" fill="#f7f5f0"/><path d="M152 40v126M147 40v126" stroke="#d6d1c6" stroke-width="1.6"/>
<path d="M54 30h86c5 0 8 3 8 8v120c0 5-3 8-8 8H54c-6 0-9-3-9-8V38c0-5 3-8 9-8z" fill="$m"/><path d="M45 38c0-5 3-8 9-8h8v136h-8c-6 0-9-3-9-8z" fill="$d"/>
0|<rect x="78" y="56" width="52" height="32" rx="3" fill="#f7f5f0"/><path d="M86 68h36M86 77h22" stroke="$d" stroke-width="3"/><path d="M134 30v136" stroke="$a" stroke-width="5"/>
1|<circle cx="104" cy="98" r="28" fill="$a"/><path d="M76 98a28 28 0 0 0 56 0z" fill="$l"/>
2|<path d="M62 60h86M62 76h86M62 92h86" stroke="$l" stroke-width="6" stroke-linecap="butt"/><path d="M118 30v42l8-7 8 7V30z" fill="$a"/>
"##;

const PEN: &str = r##"
<g transform="rotate(42 100 100)"><rect x="88" y="10" width="24" height="84" rx="10" fill="$m"/><rect x="88" y="82" width="24" height="10" fill="$a"/><path d="M112 26h6v42c0 5-6 5-6 0z" fill="$a"/>
<path d="M89 92h22v42l-4 16H93l-4-16z" fill="$d"/><path d="M93 150h14l-7 40z" fill="#e3c56f"/><path d="M100 162v26" stroke="#2b2d33" stroke-width="1.8"/><circle cx="100" cy="162" r="2.6" fill="#2b2d33"/>
0|<path d="M95 20v56" stroke="$l" stroke-width="4"/>
1|<path d="M88 40h24M88 50h24M88 60h24" stroke="$d" stroke-width="3"/>
2|<rect x="88" y="10" width="24" height="18" rx="9" fill="$a"/>
</g><path d="M26 172c10-12 18 8 30-2" fill="none" stroke="$m" stroke-width="4"/>
"##;

const INK: &str = r##"
<ellipse cx="100" cy="166" rx="56" ry="6" fill="#000" opacity=".12"/>
<rect x="72" y="36" width="56" height="32" rx="6" fill="#33363d"/><path d="M82 40v24M92 40v24M102 40v24M112 40v24" stroke="#4a4e58" stroke-width="3"/><rect x="78" y="66" width="44" height="12" fill="#d8e3e8"/>
0|<rect x="44" y="76" width="112" height="88" rx="16" fill="#d8e3e8"/><path d="M52 100h96v46c0 6-5 10-10 10H62c-5 0-10-4-10-10z" fill="$m"/>
1|<path d="M72 76h56l30 56c8 16-2 32-18 32H60c-16 0-26-16-18-32z" fill="#d8e3e8"/><path d="M58 110h84l10 26c4 10-2 20-12 20H60c-10 0-16-10-12-20z" fill="$m"/>
2|<circle cx="100" cy="118" r="47" fill="#d8e3e8"/><path d="M61 112h78c2 26-16 45-39 45s-41-19-39-45z" fill="$m"/>
<rect x="76" y="114" width="48" height="30" rx="3" fill="#fbf8f0"/><path d="M84 124h32M84 134h20" stroke="$d" stroke-width="3"/>
"##;

const TENT: &str = r##"
<ellipse cx="100" cy="156" rx="84" ry="7" fill="#000" opacity=".12"/>
0|<path d="M100 40l76 116H24z" fill="$m"/><path d="M100 40l76 116h-50z" fill="$d"/><path d="M100 76l26 80H74z" fill="#33363d"/><path d="M100 76l-4 80H74z" fill="$a"/><path d="M100 40V28" stroke="#6b7280" stroke-width="4"/>
1|<path d="M20 156c4-68 40-104 80-104s76 36 80 104z" fill="$m"/><path d="M100 52c40 0 76 36 80 104h-44c0-48-12-84-36-104z" fill="$d"/><path d="M72 156c2-34 12-56 28-62 16 6 26 28 28 62z" fill="#33363d"/><path d="M72 156c2-34 12-56 28-62-8 18-10 40-10 62z" fill="$a"/>
2|<path d="M70 52h64l46 104H20z" fill="$m"/><path d="M70 52L20 156h74z" fill="$l"/><path d="M70 52l24 104H46z" fill="#33363d"/><path d="M70 52l-8 104H46z" fill="$a"/><path d="M70 52V40M134 52V40" stroke="#6b7280" stroke-width="4"/>
<path d="M24 156L12 164M176 156l12 8" stroke="#8a8f99" stroke-width="3"/>
"##;

const SLEEPING_BAG: &str = r##"
<ellipse cx="100" cy="184" rx="36" ry="5" fill="#000" opacity=".12"/>
<path d="M58 70c0-32 20-52 42-52s42 20 42 52c0 40-12 76-18 104-3 10-45 10-48 0-6-28-18-64-18-104z" fill="$m"/>
<path d="M74 66c0-22 12-34 26-34s26 12 26 34c0 10-10 16-26 16s-26-6-26-16z" fill="$d"/><ellipse cx="100" cy="66" rx="19" ry="12" fill="#f7f5f0"/>
0|<path d="M62 98c24 8 52 8 76 0M67 122c22 7 44 7 66 0M72 146c18 6 38 6 56 0" fill="none" stroke="$d" stroke-width="4"/>
1|<path d="M64 106l72 10M68 130l64 9M74 152l52 7" stroke="$l" stroke-width="5"/>
2|<path d="M100 84v94" stroke="$d" stroke-width="5"/><path d="M64 104h30M106 104h30M70 134h24M106 134h24" stroke="$l" stroke-width="4"/>
<path d="M120 86l6 40" stroke="$a" stroke-width="4"/><circle cx="127" cy="130" r="4" fill="$a"/>
"##;

const LANTERN: &str = r##"
<ellipse cx="100" cy="176" rx="46" ry="5" fill="#000" opacity=".12"/><circle cx="100" cy="106" r="62" fill="#ffd36b" opacity=".28"/>
<path d="M64 64C60 10 140 10 136 64" fill="none" stroke="#6b7280" stroke-width="5"/>
<path d="M72 50h56l10 20H62z" fill="$m"/><rect x="66" y="70" width="68" height="70" fill="#fff3cf"/>
0|<path d="M100 86c14 16 14 34 0 38-14-4-14-22 0-38z" fill="#f5a83c"/>
1|<circle cx="100" cy="106" r="17" fill="#f9c45c"/><path d="M100 70v20M100 122v18" stroke="#8a8f99" stroke-width="4"/>
2|<rect x="88" y="80" width="24" height="52" rx="12" fill="#f9c45c"/>
<path d="M68 70v70M132 70v70" stroke="$d" stroke-width="5"/><path d="M60 138h80l4 28c1 5-2 8-7 8H63c-5 0-8-3-7-8z" fill="$m"/><path d="M58 152h84l2 14c1 5-2 8-7 8H63c-5 0-8-3-7-8z" fill="$d" opacity=".6"/><circle cx="100" cy="156" r="6" fill="$a"/>
"##;
