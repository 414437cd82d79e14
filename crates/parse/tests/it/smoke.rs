//! The bodies of the fuzz targets on a few thousand inputs, so that every run of the tests touches them.

use proptest::prelude::*;

use crate::invariants;

const SEEDS: [&str; 13] = [
    include_str!("../corpus/courier.txt"),
    include_str!("../corpus/cyrus.txt"),
    include_str!("../corpus/sendmail.txt"),
    include_str!("../corpus/opensmtpd.txt"),
    include_str!("../corpus/qmail.txt"),
    include_str!("../corpus/stalwart.txt"),
    include_str!("../corpus/haraka.txt"),
    include_str!("../corpus/roundcube.txt"),
    include_str!("../corpus/sogo.txt"),
    include_str!("../corpus/squirrelmail.txt"),
    include_str!("../corpus/horde.txt"),
    include_str!("../corpus/servers-forged.txt"),
    "^by (?<client>\\S+)\0by 192.0.2.7 x\nto 192.0.2.7",
];

/// Pieces that grammars turn on, more often than chance would write them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => any::<u8>().prop_map(|byte| vec![byte]),
        2 => prop::sample::select(&b" []()<>=:,.'\"\n\0"[..]).prop_map(|byte| vec![byte]),
        2 => prop::sample::select(&["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", " from ", ", ip=[", ", relay=", "]"][..])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Two cuts of corpus lines with something between.
fn spliced() -> impl Strategy<Value = Vec<u8>> {
    let cut = || (prop::sample::select(&SEEDS[..]), any::<prop::sample::Index>(), 0usize..300);
    (cut(), bytes(), cut()).prop_map(|(left, middle, right)| {
        let part = |(seed, at, len): (&str, prop::sample::Index, usize)| {
            let from = at.index(seed.len());
            seed.as_bytes()[from..(from + len).min(seed.len())].to_vec()
        };
        [part(left), middle, part(right)].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_bytes_are(data in prop_oneof![bytes(), spliced()]) {
        invariants::line(&data);
        invariants::postfix(&data);
        invariants::dovecot(&data);
        invariants::exim(&data);
        invariants::servers(&data);
        invariants::prefix(&data);
        invariants::custom(&data);
    }
}
