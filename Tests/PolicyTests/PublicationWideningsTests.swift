import Policy
import Testing

@Suite struct PublicationWideningsTests {
    @Test func wideningsAreCounted() {
        let few: PublicationWidenings = ["a", "b", "c"]
        #expect(few.prefix(3) == few && few.prefix(1) == PublicationWidenings(["a"], omittedCount: 2))
        #expect(PublicationWidenings([], omittedCount: 1).isEmpty == false)
    }
}
