/// The known name that a mistyped one most likely means, or nil when none is close.
///
/// Close is at most a third of the name's length in edits (insert, remove, replace, swap of neighbours), and
/// at least one. Ties go to the name that comes first.
package func nearest(to text: String, among names: some Sequence<String>) -> String? {
    let wanted = Array(text.utf8.prefix(nearestBytesMax + 1))
    guard !wanted.isEmpty, wanted.count <= nearestBytesMax else { return nil }
    var best: String?
    var bestDistance = max(1, wanted.count / 3) + 1
    for name in names {
        let candidate = name.utf8
        guard candidate.count <= nearestBytesMax, abs(candidate.count - wanted.count) < bestDistance else {
            continue
        }
        let distance = editDistance(wanted, Array(candidate), limit: bestDistance)
        if distance < bestDistance {
            bestDistance = distance
            best = name
            if distance == 0 { break }
        }
    }
    return best
}

/// Longer names are not worth the time: the distance costs the product of both lengths.
private let nearestBytesMax = 128

/// Optimal string alignment distance of two byte strings, case ignored at no cost less than one edit;
/// `limit` when it is at least that.
private func editDistance(_ left: [UInt8], _ right: [UInt8], limit: Int) -> Int {
    if left == right { return 0 }
    let width = right.count + 1
    var beforePrevious = [Int](repeating: 0, count: width)
    var previous = Array(0..<width)
    var current = [Int](repeating: 0, count: width)
    for row in left.indices {
        current[0] = row + 1
        var lowest = current[0]
        for column in right.indices {
            let same = left[row] == right[column]
            var cost = min(
                previous[column] + (same ? 0 : 1), previous[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                cost = min(cost, beforePrevious[column - 1] + 1)
            }
            current[column + 1] = cost
            lowest = min(lowest, cost)
        }
        if lowest >= limit { return limit }
        swap(&beforePrevious, &previous)
        swap(&previous, &current)
    }
    return min(previous[right.count], limit)
}

/// The mend for an unknown name: the nearest known one, or what there is to choose from.
package func didYouMean(_ text: String, among names: [String], otherwise: String) -> String {
    // A different case is the likeliest slip of all.
    let lowercase = text.lowercased()
    if let same = names.first(where: { $0 != text && $0.lowercased() == lowercase }) {
        return "write \(quoted(same))"
    }
    if let name = nearest(to: text, among: names) { return "did you mean \(quoted(name))?" }
    return otherwise
}
