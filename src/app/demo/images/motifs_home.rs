//! Pictures of things for kitchen, bath and home; placeholders as in `motifs_wear`.

/// Names of the motifs here.
#[cfg(test)]
pub const NAMES: [&str; 22] = [
    "coffee-bag",
    "grinder",
    "brewer",
    "box",
    "tea-tin",
    "teapot",
    "mug",
    "pump",
    "jar",
    "dropper",
    "tube",
    "knife",
    "pan",
    "board",
    "oil",
    "bottle",
    "lamp",
    "cushion",
    "vase",
    "candle",
    "plant",
    "pot",
];

/// The template of a motif.
pub fn find(motif: &str) -> Option<&'static str> {
    Some(match motif {
        "coffee-bag" => COFFEE_BAG,
        "grinder" => GRINDER,
        "brewer" => BREWER,
        "box" => BOX,
        "tea-tin" => TEA_TIN,
        "teapot" => TEAPOT,
        "mug" => MUG,
        "pump" => PUMP,
        "jar" => JAR,
        "dropper" => DROPPER,
        "tube" => TUBE,
        "knife" => KNIFE,
        "pan" => PAN,
        "board" => BOARD,
        "oil" => OIL,
        "bottle" => BOTTLE,
        "lamp" => LAMP,
        "cushion" => CUSHION,
        "vase" => VASE,
        "candle" => CANDLE,
        "plant" => PLANT,
        "pot" => POT,
        _ => return None,
    })
}

const COFFEE_BAG: &str = r##"
<ellipse cx="100" cy="174" rx="50" ry="6" fill="#000" opacity=".12"/>
<path d="M58 52l-6 112c0 6 3 9 9 9h78c6 0 9-3 9-9l-6-112z" fill="$m"/><path d="M142 52l6 112c0 6-3 9-9 9h-12L124 52z" fill="$d" opacity=".55"/>
<path d="M56 30h88v22H56z" fill="$d"/><path d="M56 38h88" stroke="$l" stroke-width="2"/><path d="M50 46h10v10H50zM140 46h10v10h-10z" fill="$a"/>
0|<rect x="68" y="84" width="64" height="58" rx="4" fill="#f7f0e3"/><ellipse cx="100" cy="106" rx="12" ry="15" fill="#6b4530" transform="rotate(28 100 106)"/><path d="M94 94c8 8 4 16 12 25" fill="none" stroke="#f7f0e3" stroke-width="2.5"/><path d="M80 132h40" stroke="#6b4530" stroke-width="3"/>
1|<circle cx="100" cy="108" r="30" fill="#f7f0e3"/><path d="M84 104h28v10c0 16-28 16-28 0z" fill="#6b4530"/><path d="M112 107c10 0 10 10 0 10M92 98c-3-4 3-6 0-11M102 98c-3-4 3-6 0-11" fill="none" stroke="#6b4530" stroke-width="3"/>
2|<path d="M54 118l92-26v34l-94 26z" fill="$a"/><path d="M72 128l56-16" stroke="#2b2d33" stroke-width="4"/><circle cx="100" cy="78" r="11" fill="#f7f0e3"/>
"##;

const GRINDER: &str = r##"
<ellipse cx="100" cy="174" rx="46" ry="6" fill="#000" opacity=".12"/>
<path d="M100 46V30l46 2" fill="none" stroke="#7b828e" stroke-width="6"/><circle cx="150" cy="32" r="10" fill="#8a5a3a"/>
<path d="M76 46h48l4 16H72z" fill="#c3cad3"/><rect x="72" y="62" width="56" height="58" rx="4" fill="$m"/><rect x="112" y="62" width="16" height="58" rx="4" fill="$d" opacity=".6"/>
0|<path d="M82 70v42M92 70v42M102 70v42" stroke="$d" stroke-width="3"/>
1|<rect x="82" y="80" width="28" height="18" rx="3" fill="$a"/>
2|<path d="M72 78h56M72 104h56" stroke="$a" stroke-width="4" stroke-linecap="butt"/>
<rect x="68" y="118" width="64" height="9" fill="#c3cad3"/><path d="M74 127h52v38c0 5-4 8-8 8H82c-4 0-8-3-8-8z" fill="#dfe7ea"/><path d="M78 146h44v17c0 4-3 6-6 6H84c-3 0-6-2-6-6z" fill="#5d3b28"/>
"##;

const BREWER: &str = r##"
<ellipse cx="100" cy="174" rx="50" ry="6" fill="#000" opacity=".12"/>
<path d="M56 34h88l-30 48H86z" fill="$m"/><path d="M56 34h88l-5 9H61z" fill="$d"/><path d="M64 26h72l-4 10H68z" fill="#fbf8f0"/>
0|<path d="M78 46l12 32M100 46v32M122 46l-12 32" stroke="$l" stroke-width="3"/>
1|<path d="M66 52h68" stroke="$a" stroke-width="5"/>
2|<path d="M138 48c22-4 22 26-4 24" fill="none" stroke="$m" stroke-width="6"/>
<path d="M76 82h48v8H76z" fill="$d"/><path d="M82 92h36l30 62c5 10 0 20-12 20H64c-12 0-17-10-12-20z" fill="#e2edf0"/><path d="M68 124h64l14 30c4 9 0 15-9 15H63c-9 0-13-6-9-15z" fill="#5d3b28"/><path d="M76 110l-16 38" stroke="#fff" stroke-width="4" opacity=".7"/><path d="M100 90v30" stroke="#5d3b28" stroke-width="3"/>
"##;

const BOX: &str = r##"
<ellipse cx="100" cy="164" rx="66" ry="6" fill="#000" opacity=".12"/>
<path d="M38 70l62-24 62 24v72l-62 24-62-24z" fill="$m"/><path d="M100 94l62-24v72l-62 24z" fill="$d"/><path d="M38 70l62-24 62 24-62 24z" fill="$l"/>
0|<path d="M52 96l34 13v28l-34-13z" fill="$a"/><path d="M58 108l20 8" stroke="#2b2d33" stroke-width="3"/>
1|<path d="M62 60l62 24v18l10-4V80L72 56z" fill="$a"/>
2|<circle cx="68" cy="118" r="17" fill="#fbf8f0"/><path d="M58 112h20l-10 18z" fill="$d"/>
"##;

const TEA_TIN: &str = r##"
<ellipse cx="100" cy="172" rx="46" ry="6" fill="#000" opacity=".12"/>
<path d="M58 62h84v100c0 6-18 10-42 10s-42-4-42-10z" fill="$m"/><path d="M120 62h22v100c0 4-8 8-22 9z" fill="$d" opacity=".6"/>
<path d="M54 40c0-12 92-12 92 0v26c0 5-92 5-92 0z" fill="$d"/><ellipse cx="100" cy="40" rx="46" ry="9" fill="$l"/><rect x="90" y="26" width="20" height="12" rx="5" fill="$d"/>
0|<rect x="70" y="86" width="60" height="60" rx="30" fill="#faf4e6"/><path d="M100 98c18 10 18 28 0 38-18-10-18-28 0-38z" fill="#5c8a4e"/><path d="M100 104v28" stroke="#faf4e6" stroke-width="2.5"/>
1|<path d="M58 92h84v44H58z" fill="#faf4e6"/><path d="M74 106h52M82 116h36M90 126h20" stroke="$d" stroke-width="4"/>
2|<path d="M100 88l26 28-26 28-26-28z" fill="$a"/><path d="M88 116c8-14 16-14 24 0-8 14-16 14-24 0z" fill="#faf4e6"/>
"##;

const TEAPOT: &str = r##"
<ellipse cx="98" cy="164" rx="60" ry="6" fill="#000" opacity=".12"/>
0|<path d="M56 76C58 14 138 14 140 76" fill="none" stroke="#8a5a3a" stroke-width="7"/>
1|<path d="M146 92c36-8 36 48-4 46" fill="none" stroke="$d" stroke-width="9"/>
2|<path d="M142 84c40-22 48 40 6 56" fill="none" stroke="$d" stroke-width="8"/>
<path d="M56 116C40 112 40 88 22 78l9-10c20 6 26 18 38 26z" fill="$d"/>
<path d="M48 116c0-30 22-46 50-46s50 16 50 46c0 22-12 38-24 44H72c-12-6-24-22-24-44z" fill="$m"/><path d="M118 74c20 8 30 22 30 42 0 22-12 38-24 44h-16c16-20 20-56 10-86z" fill="$d" opacity=".5"/>
<path d="M66 78c6-16 58-16 64 0z" fill="$d"/><circle cx="98" cy="61" r="7" fill="$a"/><path d="M62 108c2-12 8-20 18-24" fill="none" stroke="$l" stroke-width="5"/><path d="M72 158h52v6H72z" fill="$d"/>
"##;

const MUG: &str = r##"
<ellipse cx="94" cy="160" rx="52" ry="6" fill="#000" opacity=".12"/>
<path d="M136 78c40-6 40 58-4 56" fill="none" stroke="$d" stroke-width="11"/>
<path d="M46 58h96v76c0 15-9 26-24 26H70c-15 0-24-11-24-26z" fill="$m"/><path d="M122 58h20v76c0 15-9 26-24 26h-10c10-8 14-20 14-30z" fill="$d" opacity=".5"/><ellipse cx="94" cy="58" rx="48" ry="10" fill="$d"/><ellipse cx="94" cy="60" rx="40" ry="7" fill="#5d3b28"/>
0|<path d="M46 128h96v6c0 15-9 26-24 26H70c-15 0-24-11-24-26z" fill="$l"/>
1|<circle cx="84" cy="108" r="17" fill="$a"/>
2|<g fill="$t" opacity=".75"><circle cx="66" cy="88" r="3"/><circle cx="88" cy="96" r="3"/><circle cx="110" cy="86" r="3"/><circle cx="70" cy="116" r="3"/><circle cx="98" cy="122" r="3"/><circle cx="116" cy="108" r="3"/><circle cx="82" cy="140" r="3"/></g>
<path d="M82 42c-6-7 6-10 0-18M100 42c-6-7 6-10 0-18" fill="none" stroke="#8f959f" stroke-width="4" opacity=".55"/>
"##;

const PUMP: &str = r##"
<ellipse cx="100" cy="176" rx="40" ry="6" fill="#000" opacity=".12"/>
<path d="M100 58V34H74c-8 0-10 6-10 12" fill="none" stroke="#3f434c" stroke-width="8"/><rect x="84" y="52" width="32" height="16" rx="4" fill="#3f434c"/>
0|<path d="M62 92c0-16 12-24 24-24h28c12 0 24 8 24 24v72c0 7-4 11-11 11H73c-7 0-11-4-11-11z" fill="$m"/>
1|<rect x="62" y="68" width="76" height="107" rx="7" fill="$m"/>
2|<path d="M80 68h40c4 14 20 22 20 44v50c0 8-5 13-13 13H73c-8 0-13-5-13-13v-50c0-22 16-30 20-44z" fill="$m"/>
<path d="M122 76c10 6 16 12 16 26v62c0 7-4 11-11 11h-8c4-30 6-70 3-99z" fill="$d" opacity=".5"/><rect x="74" y="106" width="52" height="44" rx="3" fill="#fbf8f0"/><path d="M84 120h32M84 130h32M84 140h18" stroke="$d" stroke-width="3"/><circle cx="116" cy="140" r="4" fill="$a"/>
"##;

const JAR: &str = r##"
<ellipse cx="100" cy="156" rx="56" ry="7" fill="#000" opacity=".12"/>
<path d="M48 92h104v48c0 10-8 16-18 16H66c-10 0-18-6-18-16z" fill="$m"/><path d="M128 92h24v48c0 10-8 16-18 16h-12c6-18 8-42 6-64z" fill="$d" opacity=".5"/>
0|<path d="M42 60c0-5 4-8 9-8h98c5 0 9 3 9 8v32H42z" fill="#f7f5f0"/><path d="M42 80h116" stroke="#dcd7cc" stroke-width="3"/>
1|<path d="M42 60c0-5 4-8 9-8h98c5 0 9 3 9 8v32H42z" fill="#3f434c"/><path d="M56 58v28M72 58v28M88 58v28M104 58v28M120 58v28M136 58v28" stroke="#565b66" stroke-width="3"/>
2|<path d="M42 62c0-5 4-8 9-8h98c5 0 9 3 9 8v30H42z" fill="#c59a6a"/><path d="M46 66h108M46 78h108" stroke="#ad8252" stroke-width="2.5"/>
<rect x="66" y="104" width="56" height="36" rx="18" fill="#fbf8f0"/><path d="M80 118h28M86 128h16" stroke="$d" stroke-width="3"/>
"##;

const DROPPER: &str = r##"
<ellipse cx="100" cy="176" rx="38" ry="6" fill="#000" opacity=".12"/>
<path d="M90 22c0-12 20-12 20 0v24H90z" fill="#3f434c"/><rect x="80" y="44" width="40" height="26" rx="4" fill="$a"/><path d="M88 46v22M96 46v22M104 46v22M112 46v22" stroke="#000" stroke-width="2" opacity=".15"/>
<path d="M84 70h32v8c14 4 22 12 22 26v60c0 7-4 11-11 11H73c-7 0-11-4-11-11v-60c0-14 8-22 22-26z" fill="$m"/><path d="M120 80c12 5 18 12 18 24v60c0 7-4 11-11 11h-9c5-30 6-66 2-95z" fill="$d" opacity=".5"/><path d="M100 70v44" stroke="#fff" stroke-width="5" opacity=".35"/>
0|<rect x="72" y="116" width="56" height="40" rx="3" fill="#fbf8f0"/><path d="M82 128h36M82 138h36M82 147h18" stroke="$d" stroke-width="3"/>
1|<path d="M62 120h76v34H62z" fill="#fbf8f0"/><path d="M100 126c9 11 9 20 0 22-9-2-9-11 0-22z" fill="$a"/>
2|<circle cx="100" cy="136" r="23" fill="#fbf8f0"/><path d="M88 132h24M92 142h16" stroke="$d" stroke-width="3"/>
"##;

const TUBE: &str = r##"
<ellipse cx="100" cy="180" rx="32" ry="5" fill="#000" opacity=".12"/>
<path d="M60 22h80l-12 126H72z" fill="$m"/><path d="M140 22l-12 126h-14l4-126z" fill="$d" opacity=".5"/><path d="M58 16h84v14H58z" fill="$d"/><path d="M66 16v14M76 16v14M86 16v14M96 16v14M106 16v14M116 16v14M126 16v14" stroke="$m" stroke-width="2"/><path d="M74 148h52l-3 30H77z" fill="#f7f5f0"/><path d="M84 152v22M94 152v22M104 152v22M114 152v22" stroke="#d6d1c6" stroke-width="2.5"/>
0|<circle cx="100" cy="72" r="16" fill="#ffd667"/><path d="M100 46v6M100 92v6M74 72h6M120 72h6M82 54l4 4M118 54l-4 4M82 90l4-4M118 90l-4-4" stroke="#ffd667" stroke-width="4"/>
1|<path d="M76 54h48l-1 14H77zM78 78h30l-1 10H79z" fill="#fbf8f0"/>
2|<path d="M62 60c20 14 46-14 75 0l-3 28c-26-12-48 12-69 0z" fill="$a"/>
<path d="M86 118h28M90 128h20" stroke="$t" stroke-width="4"/>
"##;

const KNIFE: &str = r##"
<g transform="rotate(38 100 100)"><path d="M86 14c26 22 32 62 30 106H86z" fill="#d5dbe2"/><path d="M86 14v106h10V28z" fill="#b1b9c4"/>
0|<path d="M104 60c4 20 6 40 5 58" fill="none" stroke="#eef1f4" stroke-width="4"/>
1|<path d="M98 50c8 10 0 18 8 28s0 20 6 30" fill="none" stroke="#aab3bf" stroke-width="2.5"/>
2|<g fill="#b9c1cb"><circle cx="101" cy="66" r="4"/><circle cx="103" cy="84" r="4"/><circle cx="104" cy="102" r="4"/></g>
<rect x="84" y="118" width="30" height="10" rx="2" fill="$a"/><path d="M86 128h26l4 52c0 8-5 12-14 12-10 0-16-4-16-12z" fill="$m"/><path d="M86 128h9l1 63c-6-1-10-4-10-11z" fill="$d"/><circle cx="100" cy="142" r="3" fill="#e3e7ec"/><circle cx="101" cy="160" r="3" fill="#e3e7ec"/><circle cx="102" cy="178" r="3" fill="#e3e7ec"/></g>
"##;

const PAN: &str = r##"
0|<g transform="rotate(-35 100 100)"><rect x="136" y="92" width="62" height="16" rx="8" fill="#3a3431"/><circle cx="188" cy="100" r="3" fill="$g"/><circle cx="86" cy="100" r="62" fill="$d"/><circle cx="86" cy="100" r="54" fill="$m"/><circle cx="86" cy="100" r="40" fill="none" stroke="$l" stroke-width="2" opacity=".6"/><path d="M56 88c4-14 14-24 28-27" fill="none" stroke="#fff" stroke-width="5" opacity=".35"/></g>
1|<ellipse cx="100" cy="160" rx="64" ry="6" fill="#000" opacity=".12"/><path d="M30 92h24v16H40c-12 0-12-16-10-16zM170 92h-24v16h14c12 0 12-16 10-16z" fill="$d"/><path d="M44 84h112v52c0 15-9 24-24 24H68c-15 0-24-9-24-24z" fill="$m"/><path d="M132 84h24v52c0 15-9 24-24 24h-10c10-20 12-50 10-76z" fill="$d" opacity=".5"/><path d="M40 84c6-26 114-26 120 0z" fill="$l"/><path d="M40 80h120v9H40z" fill="$d"/><rect x="88" y="52" width="24" height="12" rx="6" fill="$a"/>
2|<ellipse cx="88" cy="150" rx="60" ry="6" fill="#000" opacity=".12"/><path d="M142 92l52-22" stroke="#8a5a3a" stroke-width="13"/><path d="M28 86h120l-12 50c-2 9-8 13-17 13H57c-9 0-15-4-17-13z" fill="$m"/><path d="M126 86h22l-12 50c-2 9-8 13-17 13h-8c8-18 14-40 15-63z" fill="$d" opacity=".5"/><ellipse cx="88" cy="86" rx="60" ry="11" fill="$d"/><ellipse cx="88" cy="88" rx="50" ry="7" fill="$a" opacity=".5"/>
"##;

const BOARD: &str = r##"
0|<g transform="rotate(-12 100 100)"><path d="M54 52c0-8 6-14 14-14h14c6 0 8-4 8-10 0-14 20-14 20 0 0 6 2 10 8 10h14c8 0 14 6 14 14v108c0 8-6 14-14 14H68c-8 0-14-6-14-14z" fill="$m"/><circle cx="100" cy="29" r="4.5" fill="$g"/><path d="M66 60c20 6 0 60 8 100M92 56c14 30-8 70 2 106M120 56c12 34-10 66 4 104" fill="none" stroke="$d" stroke-width="2.5" opacity=".7"/></g>
1|<rect x="26" y="56" width="148" height="92" rx="12" fill="$m"/><rect x="36" y="66" width="128" height="72" rx="7" fill="none" stroke="$d" stroke-width="4"/><path d="M50 84h98M46 102h110M52 120h92" stroke="$d" stroke-width="2" opacity=".6"/>
2|<circle cx="94" cy="96" r="62" fill="$m"/><path d="M138 140l34 34" stroke="$m" stroke-width="22"/><circle cx="170" cy="172" r="4.5" fill="$g"/><circle cx="94" cy="96" r="44" fill="none" stroke="$d" stroke-width="2.5" opacity=".6"/><circle cx="94" cy="96" r="26" fill="none" stroke="$d" stroke-width="2.5" opacity=".6"/><circle cx="94" cy="96" r="10" fill="none" stroke="$d" stroke-width="2.5" opacity=".6"/>
<g transform="translate(74 86)"><circle cx="16" cy="20" r="15" fill="#d8503f"/><path d="M16 8c2-8 8-8 10-8" fill="none" stroke="#3f7a4c" stroke-width="4"/><path d="M8 14c2-4 5-5 8-5" fill="none" stroke="#fff" stroke-width="3" opacity=".6"/></g>
"##;

const OIL: &str = r##"
<ellipse cx="100" cy="178" rx="36" ry="6" fill="#000" opacity=".12"/>
<rect x="88" y="18" width="24" height="18" rx="4" fill="#b98752"/><rect x="90" y="34" width="20" height="32" fill="$d"/>
0|<path d="M90 58h20c4 18 28 22 28 46v62c0 7-4 11-11 11H73c-7 0-11-4-11-11v-62c0-24 24-28 28-46z" fill="$m"/>
1|<path d="M90 58h20c2 16 18 16 18 32v76c0 7-4 11-11 11H83c-7 0-11-4-11-11V90c0-16 16-16 18-32z" fill="$m"/>
2|<path d="M90 58h20l28 30v78c0 7-4 11-11 11H73c-7 0-11-4-11-11V88z" fill="$m"/>
<path d="M78 100v64" stroke="$l" stroke-width="5"/><rect x="76" y="104" width="48" height="52" rx="3" fill="#fbf4e2"/><path d="M100 110c10 8 10 22 0 26-10-4-10-18 0-26z" fill="#7c8046"/><path d="M84 146h32" stroke="#7c8046" stroke-width="3"/><path d="M100 136c8-6 12-6 18-14" fill="none" stroke="#7c8046" stroke-width="2"/>
"##;

const BOTTLE: &str = r##"
<ellipse cx="100" cy="180" rx="34" ry="5" fill="#000" opacity=".12"/>
0|<path d="M86 30c0-16 28-16 28 0" fill="none" stroke="#3f434c" stroke-width="6"/><rect x="80" y="28" width="40" height="24" rx="5" fill="#3f434c"/>
1|<rect x="82" y="18" width="36" height="34" rx="5" fill="#b98752"/><path d="M88 24v22M96 24v22M104 24v22M112 24v22" stroke="#a17340" stroke-width="2"/>
2|<path d="M78 30c0-7 4-12 12-12h20c8 0 12 5 12 12v22H78z" fill="#c3cad3"/><path d="M78 40h44" stroke="#a5acb7" stroke-width="3"/>
<path d="M82 52h36c4 12 18 16 18 34v82c0 7-4 11-11 11H75c-7 0-11-4-11-11V86c0-18 14-22 18-34z" fill="$m"/><path d="M116 54c6 10 20 14 20 32v82c0 7-4 11-11 11h-9c4-38 4-86 0-125z" fill="$d" opacity=".5"/><path d="M76 92v66" stroke="$l" stroke-width="6"/>
0|<path d="M64 132h72v18H64z" fill="$a"/>
1|<path d="M88 138l12-20 12 20zM82 146h36" fill="$t" stroke="$t" stroke-width="3"/>
2|<circle cx="104" cy="122" r="15" fill="none" stroke="$t" stroke-width="4"/><path d="M94 122c6-8 12 8 20 0" fill="none" stroke="$t" stroke-width="4"/>
"##;

const LAMP: &str = r##"
<ellipse cx="100" cy="176" rx="46" ry="6" fill="#000" opacity=".12"/><circle cx="100" cy="84" r="72" fill="#ffd978" opacity=".25"/>
0|<path d="M76 28h48l24 62H52z" fill="$m"/><path d="M110 28h14l24 62h-24z" fill="$d" opacity=".45"/><path d="M52 90h96" stroke="#fff0c4" stroke-width="5"/><path d="M100 92v66" stroke="#8a6a48" stroke-width="8"/>
1|<path d="M46 92c0-76 108-76 108 0z" fill="$m"/><path d="M118 40c22 8 36 26 36 52h-24c0-24-4-40-12-52z" fill="$d" opacity=".45"/><path d="M46 92h108" stroke="#fff0c4" stroke-width="5"/><path d="M84 158c-10-22 6-40 8-66h16c2 26 18 44 8 66z" fill="$d"/>
2|<circle cx="100" cy="74" r="46" fill="$m"/><path d="M74 112c-24-22-14-66 18-82-16 30-10 62 12 88z" fill="$l"/><path d="M80 118h40v10H80z" fill="#b98752"/><path d="M88 128h24v32H88z" fill="#8a6a48"/>
<path d="M66 168c0-8 8-12 16-12h36c8 0 16 4 16 12v6H66z" fill="$d"/><path d="M124 92v26" stroke="$a" stroke-width="3"/><circle cx="124" cy="121" r="4" fill="$a"/>
"##;

const CUSHION: &str = r##"
<ellipse cx="100" cy="164" rx="66" ry="7" fill="#000" opacity=".12"/>
<path d="M36 44c40 10 88 10 128 0 8-2 10 4 8 10-8 30-8 64 0 94 2 8-2 12-10 10-40-10-84-10-124 0-8 2-12-2-10-10 8-30 8-64 0-94-2-6 0-12 8-10z" fill="$m"/>
0|<path d="M34 74h130M35 94h130M34 114h130" stroke="$l" stroke-width="6" stroke-linecap="butt"/>
1|<path d="M100 62l38 40-38 40-38-40z" fill="$d"/><path d="M100 80l21 22-21 22-21-22z" fill="$a"/>
2|<circle cx="100" cy="102" r="5" fill="$d"/><path d="M100 94c2-14 8-24 18-32M100 110c-2 14-8 22-18 30M92 102c-14-2-26-8-36-18M108 102c14 2 24 8 36 18" fill="none" stroke="$d" stroke-width="3"/>
<path d="M164 44c8-2 10 4 8 10-8 30-8 64 0 94 2 8-2 12-10 10-6-36-6-76 2-114z" fill="$d" opacity=".5"/><g fill="$a"><circle cx="32" cy="48" r="5"/><circle cx="169" cy="48" r="5"/><circle cx="32" cy="155" r="5"/><circle cx="168" cy="155" r="5"/></g>
"##;

const VASE: &str = r##"
<ellipse cx="100" cy="178" rx="38" ry="6" fill="#000" opacity=".12"/>
<path d="M100 92V30M92 92C90 66 80 56 70 48M108 92c2-22 10-34 22-44" fill="none" stroke="#5f8256" stroke-width="3.5"/><circle cx="100" cy="28" r="11" fill="$a"/><circle cx="100" cy="28" r="4.5" fill="#fbf4e2"/><ellipse cx="68" cy="46" rx="8" ry="14" fill="#739a68" transform="rotate(-38 68 46)"/><ellipse cx="132" cy="46" rx="8" ry="14" fill="#5f8256" transform="rotate(40 132 46)"/><ellipse cx="84" cy="62" rx="5" ry="10" fill="#5f8256" transform="rotate(40 84 62)"/>
0|<path d="M84 84h32c0 18 26 30 26 56 0 20-10 36-20 38H78c-10-2-20-18-20-38 0-26 26-38 26-56z" fill="$m"/><path d="M62 124c24 10 52 10 76 0" fill="none" stroke="$l" stroke-width="6"/>
1|<path d="M76 84h48c-4 16-4 24 4 44 8 22 6 44-4 50H76c-10-6-12-28-4-50 8-20 8-28 4-44z" fill="$m"/><path d="M76 110v60M88 108v68M100 108v70M112 108v68M124 110v60" stroke="$d" stroke-width="2.5"/>
2|<path d="M80 84h40l-4 16c22 8 30 24 28 42-2 22-16 36-26 36H82c-10 0-24-14-26-36-2-18 6-34 28-42z" fill="$m"/><path d="M56 140c20-8 30 8 46 0s26 8 42-2c-1 24-14 40-26 40H82c-12 0-25-14-26-38z" fill="$a" opacity=".8"/>
0|<path d="M116 86c0 18 26 28 26 54 0 20-10 36-20 38h-12c14-26 14-62 2-92z" fill="$d" opacity=".35"/>
"##;

const CANDLE: &str = r##"
<ellipse cx="100" cy="172" rx="50" ry="6" fill="#000" opacity=".12"/><circle cx="100" cy="62" r="46" fill="#ffd36b" opacity=".3"/>
<path d="M100 30c16 18 16 36 0 40-16-4-16-22 0-40z" fill="#f5a83c"/><path d="M100 46c8 10 8 20 0 22-8-2-8-12 0-22z" fill="#fff0c4"/><path d="M100 68v16" stroke="#3f434c" stroke-width="3.5"/>
<path d="M56 84h88v78c0 6-4 10-10 10H66c-6 0-10-4-10-10z" fill="$m"/><path d="M122 84h22v78c0 6-4 10-10 10h-14c4-28 4-60 2-88z" fill="$d" opacity=".5"/><ellipse cx="100" cy="84" rx="44" ry="9" fill="#fbf4e2"/>
0|<rect x="70" y="108" width="60" height="42" rx="3" fill="#fbf8f0"/><path d="M80 122h40M86 134h28" stroke="$d" stroke-width="3.5"/>
1|<circle cx="100" cy="130" r="24" fill="#fbf8f0"/><path d="M100 114c10 10 10 24 0 32-10-8-10-22 0-32z" fill="$a"/>
2|<path d="M56 118h88v26H56z" fill="$a"/><path d="M72 131h56" stroke="#2b2d33" stroke-width="3.5"/>
"##;

const PLANT: &str = r##"
<ellipse cx="100" cy="178" rx="44" ry="6" fill="#000" opacity=".12"/>
0|<path d="M100 126C96 90 80 70 58 60M100 126c0-40 8-60 10-88M100 126c6-30 22-48 46-52" fill="none" stroke="#3f7a4c" stroke-width="4"/><path d="M62 72C34 74 26 50 34 34c22 2 38 16 28 38z" fill="#4f9460"/><path d="M110 52c-20-10-20-30-4-42 18 10 22 30 4 42z" fill="#3f7a4c"/><path d="M140 84c-4-22 12-36 32-34 4 20-10 36-32 34z" fill="#5ba56b"/><path d="M84 100c-22 10-38-2-40-18 18-8 36 0 40 18z" fill="#68b27a"/>
1|<path d="M96 126C84 84 86 44 80 20c16 20 22 62 22 106zM104 126c0-40 10-74 28-96-6 30-10 66-18 96zM92 126C80 98 66 76 52 62c22 6 40 32 50 64zM108 126c8-26 24-42 42-50-14 16-22 32-32 50z" fill="#4f9460"/><path d="M90 40c6 26 8 52 8 84M124 52c-8 22-14 46-16 72" fill="none" stroke="#bcd48f" stroke-width="2.5"/>
2|<path d="M100 126V56M100 104L74 84M100 92l28-22M100 74L80 54" stroke="#3f7a4c" stroke-width="3.5"/><g fill="#5ba56b"><circle cx="100" cy="42" r="20"/><circle cx="64" cy="78" r="18"/><circle cx="138" cy="62" r="19"/><circle cx="72" cy="44" r="14"/><circle cx="128" cy="98" r="14"/></g><g fill="#8ccb97"><circle cx="100" cy="42" r="4"/><circle cx="64" cy="78" r="4"/><circle cx="138" cy="62" r="4"/></g>
<path d="M56 122h88v16H56z" fill="$d"/><path d="M62 138h76l-8 34c-1 4-4 6-8 6H78c-4 0-7-2-8-6z" fill="$m"/><path d="M122 138h16l-8 34c-1 4-4 6-8 6h-8c5-12 8-26 8-40z" fill="$d" opacity=".5"/>
"##;

const POT: &str = r##"
<ellipse cx="100" cy="172" rx="58" ry="6" fill="#000" opacity=".12"/>
<path d="M48 160h104l-6 10H54z" fill="$d"/>
0|<path d="M42 46h116v28H42z" fill="$l"/><path d="M50 74h100l-12 82c-1 5-4 8-9 8H71c-5 0-8-3-9-8z" fill="$m"/><path d="M50 74h100l-2 8H52z" fill="$d"/><path d="M58 112l14-12 14 12 14-12 14 12 14-12 14 12" fill="none" stroke="$a" stroke-width="4"/>
1|<path d="M46 58c0-6 4-10 10-10h88c6 0 10 4 10 10v78c0 16-10 28-26 28H72c-16 0-26-12-26-28z" fill="$m"/><ellipse cx="100" cy="54" rx="50" ry="9" fill="#4b372b"/><path d="M46 116h108v20c0 16-10 28-26 28H72c-16 0-26-12-26-28z" fill="$l"/>
2|<path d="M40 100c0-30 22-52 60-52s60 22 60 52-18 64-34 64H74c-16 0-34-34-34-64z" fill="$m"/><ellipse cx="100" cy="54" rx="38" ry="9" fill="#4b372b"/><path d="M44 92c36 10 76 10 112 0M44 110c36 10 76 10 112 0" fill="none" stroke="$d" stroke-width="3"/>
<path d="M128 50c16 40 10 84-6 114h8c14-4 26-30 28-58V64z" fill="$d" opacity=".3"/>
"##;
