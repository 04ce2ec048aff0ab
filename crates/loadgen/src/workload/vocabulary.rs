//! 256 English words, each one token in the vocabularies of common models when a space precedes it.

pub(super) const WORDS: [&str; 256] = [
    "the", "of", "and", "to", "in", "is", "was", "for", "on", "that", "with", "as", "it", "by", "at", "from", "his",
    "an", "be", "this", "are", "or", "had", "not", "but", "have", "one", "were", "her", "all", "she", "there", "would",
    "their", "we", "him", "been", "has", "when", "who", "will", "no", "more", "if", "out", "so", "up", "said", "what",
    "its", "about", "than", "into", "them", "can", "only", "other", "time", "new", "some", "could", "these", "two",
    "may", "first", "then", "do", "any", "like", "my", "now", "over", "such", "our", "man", "me", "even", "most",
    "made", "after", "also", "did", "many", "off", "before", "must", "well", "back", "through", "years", "much",
    "where", "your", "way", "down", "should", "because", "long", "each", "just", "state", "those", "people", "too",
    "mr", "how", "little", "good", "world", "make", "very", "year", "still", "see", "own", "work", "men", "day", "get",
    "here", "old", "life", "both", "between", "being", "under", "three", "never", "know", "same", "last", "while",
    "might", "us", "great", "go", "come", "since", "against", "right", "came", "take", "used", "himself", "few",
    "house", "use", "place", "during", "high", "without", "again", "home", "around", "small", "however", "found",
    "mrs", "part", "school", "thought", "went", "say", "general", "once", "upon", "war", "every", "left", "number",
    "course", "fact", "always", "city", "group", "water", "side", "set", "night", "white", "business", "early", "eyes",
    "almost", "head", "far", "face", "enough", "light", "door", "love", "power", "body", "order", "law", "free",
    "line", "strong", "half", "name", "money", "hand", "nothing", "sure", "field", "art", "real", "full", "space",
    "room", "table", "mind", "paper", "river", "music", "book", "car", "office", "food", "sun", "road", "game", "land",
    "sea", "tree", "star", "bank", "team", "king", "ship", "town", "wall", "hill", "blue", "green", "red", "black",
    "gold", "stone", "fire", "wind", "snow", "rain", "bird", "horse", "dog", "cat", "fish", "glass", "bridge",
    "garden", "street", "morning", "evening", "summer", "winter",
];
