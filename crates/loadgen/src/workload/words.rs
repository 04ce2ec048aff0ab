//! Words and sentence patterns. Korean nouns carry their particle, which depends on their last sound.

use super::Draw;

pub(super) fn korean(draw: &mut Draw) -> String {
    let who = draw.one(&KOREAN_PEOPLE);
    let (from, to) = draw.two(&KOREAN_PLACES);
    let (goods, counter) = draw.one(&KOREAN_GOODS);
    let count = draw.between(12, 980);
    let (month, day) = (draw.between(1, 12), draw.between(1, 28));
    let hour = draw.between(1, 12);
    let sentence = match draw.below(3) {
        0 => {
            format!("{who} {month}월 {day}일 {from}에서 {to}로 {goods} {count}{counter} 보냅니다.")
        }
        1 => format!("{who} {from}에서 산 {goods} {count}{counter} {month}월 {day}일 {to}에 전합니다."),
        _ => {
            format!("{who} {day}일 {hour}시에 {to} 시장에서 {goods} {count}{counter} 주문했습니다.")
        }
    };
    format!("{sentence} 영어로 번역하세요.")
}

pub(super) fn english(draw: &mut Draw) -> String {
    let who = draw.one(&ENGLISH_PEOPLE);
    let (from, to) = draw.two(&ENGLISH_PLACES);
    let goods = draw.one(&ENGLISH_GOODS);
    let count = draw.between(12, 980);
    let (month, day) = (draw.one(&MONTHS), draw.between(1, 28));
    let (hour, minute) = (draw.between(6, 21), draw.between(0, 59));
    let sentence = match draw.below(3) {
        0 => format!("{who} ships {count} {goods} from {from} to {to} on {day} {month} at {hour}:{minute:02}."),
        1 => format!("On {day} {month} at {hour}:{minute:02} {who} picked up {count} {goods} in {to} for {from}."),
        _ => format!("{who} will bring {count} {goods} to the fair in {to} on {day} {month} at {hour}:{minute:02}."),
    };
    format!("{sentence} Translate into Korean.")
}

const KOREAN_PEOPLE: [&str; 16] = [
    "김 과장은",
    "이 부장은",
    "박 대리는",
    "최 선생은",
    "정 사장은",
    "강 교수는",
    "조 기사는",
    "윤 팀장은",
    "장 주임은",
    "임 대표는",
    "한 소장은",
    "오 실장은",
    "서 이사는",
    "신 차장은",
    "권 감독은",
    "황 박사는",
];

/// Places whose last sound is a vowel or ㄹ, so that `로` is right after each.
const KOREAN_PLACES: [&str; 16] = [
    "서울", "광주", "전주", "제주", "여수", "파주", "청주", "경주", "진주", "원주", "나주", "상주", "충주", "공주",
    "양주", "구미",
];

/// Goods and their counter with the object particle.
const KOREAN_GOODS: [(&str, &str); 16] = [
    ("사과", "상자를"),
    ("책", "권을"),
    ("우산", "개를"),
    ("의자", "개를"),
    ("커피", "봉지를"),
    ("종이", "묶음을"),
    ("접시", "장을"),
    ("장갑", "켤레를"),
    ("양말", "켤레를"),
    ("꽃", "송이를"),
    ("배추", "포기를"),
    ("생수", "병을"),
    ("쌀", "포대를"),
    ("연필", "자루를"),
    ("달걀", "판을"),
    ("그림", "점을"),
];

const ENGLISH_PEOPLE: [&str; 16] = [
    "Ms. Park",
    "Mr. Evans",
    "Dr. Lopez",
    "Ms. Novak",
    "Mr. Okoro",
    "Dr. Singh",
    "Ms. Meyer",
    "Mr. Sato",
    "Dr. Rossi",
    "Ms. Dubois",
    "Mr. Haas",
    "Dr. Cohen",
    "Ms. Olsen",
    "Mr. Reyes",
    "Dr. Walsh",
    "Ms. Tran",
];

const ENGLISH_PLACES: [&str; 16] = [
    "Busan", "Toronto", "Lisbon", "Nairobi", "Oslo", "Lima", "Hanoi", "Vienna", "Dublin", "Prague", "Seattle", "Quito",
    "Geneva", "Kyoto", "Perth", "Warsaw",
];

const ENGLISH_GOODS: [&str; 16] = [
    "winter coats",
    "tea boxes",
    "desk lamps",
    "violins",
    "maps",
    "oak chairs",
    "paintings",
    "bicycles",
    "glass jars",
    "notebooks",
    "wool scarves",
    "cameras",
    "apple trees",
    "clocks",
    "blankets",
    "steel bolts",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
